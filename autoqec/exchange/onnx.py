"""Exports a predecoder as an ONNX graph from syndromes to beliefs, with the priors inside and without the classical decoder."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING

from autoqec.candidate.carrying import carried_weights
from autoqec.candidate.compile import build_modules, load_tensors, run_modules
from autoqec.errors import AutoQECError
from autoqec.exchange.deploy import Deployed
from autoqec.plugin_errors import one_line
from autoqec.problem.dem import LLR_BOUND

if TYPE_CHECKING:
    import torch

#: Shots of the example that torch traces; the graph accepts any number of shots.
_EXAMPLE_SHOTS = 2


def onnx_model(deployed: Deployed) -> bytes:
    """Return the predecoder as a serialised ONNX model.

    The input `syndromes` is float32 `[shots, detectors]` of 0 and 1. The output `beliefs` is float32 `[shots, mechanisms]`:
    log-likelihood ratios clipped to ±`LLR_BOUND`.

    Raises:
        AutoQECError: The package onnx is not installed, there is no predecoder, or a stage has no ONNX form.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise AutoQECError(f"ONNX export needs the package {error.name}", hint="pip install 'autoqec[onnx]'") from error
    if not deployed.candidate.stages:
        raise AutoQECError(f"{deployed.package.name} has no stages, so there is nothing to export as ONNX")
    return _exported(_module(deployed), deployed)


def _module(deployed: Deployed) -> torch.nn.Module:
    import torch

    modules = build_modules(deployed.candidate, deployed.problem)
    load_tensors(modules, carried_weights(deployed.candidate, deployed.tensors, deployed.problem).tensors)
    priors = torch.from_numpy(deployed.problem.priors_llr.copy())

    class Predecoder(torch.nn.Module):
        priors: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.stages = modules
            self.register_buffer("priors", priors)

        def forward(self, syndromes: torch.Tensor) -> torch.Tensor:
            beliefs = self.priors.unsqueeze(0).expand(syndromes.shape[0], -1)
            return run_modules(self.stages, syndromes, beliefs).clamp(-LLR_BOUND, LLR_BOUND)

    return Predecoder().eval()


def _exported(module: torch.nn.Module, deployed: Deployed) -> bytes:
    import torch

    example = torch.zeros(_EXAMPLE_SHOTS, deployed.problem.num_detectors)
    # torch prints much progress output on both streams; it raises its errors.
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            program = torch.onnx.export(
                module,
                (example,),
                input_names=["syndromes"],
                output_names=["beliefs"],
                dynamic_shapes={"syndromes": {0: torch.export.Dim("shots")}},
                dynamo=True,
            )
        except Exception as error:
            kinds = ", ".join(f"{stage.slug} ({stage.config.kind})" for stage in deployed.candidate.stages)
            raise AutoQECError(
                f"torch cannot export one of the stages {kinds} to ONNX: {one_line(error)}",
                hint="export without --onnx; the folder loads with AutoQEC",
            ) from error
        finally:
            logging.disable(level)
    assert program is not None  # with dynamo=True
    data: bytes = program.model_proto.SerializeToString()
    return data
