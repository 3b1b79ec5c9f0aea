"""Compiles a candidate to torch modules for training, or to an inference function that may not need torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoqec.candidate.carrying import carried_stage
from autoqec.candidate.schema import Candidate, Stage
from autoqec.candidate.stage_contract import Inference
from autoqec.errors import AutoQECError, UsageError
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import Problem

if TYPE_CHECKING:
    import torch

#: Shots per inference call of torch, always exactly this many. Matrix products of another shape sum in another order, and a
#: belief must not depend on the size of the batch. A block of this size fits a processor's cache.
BLOCK = 64

#: The same on a GPU, at most: it must have work for thousands of threads, and its memory must hold a few numbers for each shot,
#: incidence and feature.
_GPU_BLOCK = 1024
_GPU_BLOCK_INCIDENCES = 2**23


def build_modules(candidate: Candidate, problem: Problem) -> torch.nn.ModuleDict:
    """Build one module per stage, by slug, in execution order, with the stages' initial parameters."""
    import torch

    return torch.nn.ModuleDict({stage.slug: stage.kind.build(stage.config, problem) for stage in candidate.stages})


def run_modules(modules: torch.nn.ModuleDict, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
    """Refine beliefs through all stages.

    Args:
        modules: From `build_modules`.
        syndromes: float32 `[shots, detectors]`, 0 or 1.
        beliefs: float32 `[shots, mechanisms]`.

    Raises:
        AutoQECError: A stage returns beliefs of a wrong shape.
    """
    for slug, module in modules.items():
        refined = module(syndromes, beliefs)
        if refined.shape != beliefs.shape:
            found, expected = tuple(refined.shape), tuple(beliefs.shape)
            problem = f"stage {slug!r} answered beliefs of shape {found}, not {expected}"
            raise AutoQECError(problem, code="wrong_shape")
        beliefs = refined
    return beliefs


def module_tensors(modules: torch.nn.ModuleDict) -> dict[str, np.ndarray]:
    """Return all parameters and buffers as arrays, named `<slug>.<parameter>`."""
    return {name: value.detach().cpu().numpy() for name, value in modules.state_dict().items()}


def load_tensors(modules: torch.nn.ModuleDict, tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Copy the tensors whose name and shape match, and return their names.

    A child of two parents may have a new stage or another shape; then the remaining parameters keep their initial values.
    """
    import torch

    own = modules.state_dict()
    fitting = {n: torch.from_numpy(np.array(t)) for n, t in tensors.items() if n in own and own[n].shape == t.shape}
    modules.load_state_dict(fitting, strict=False)
    return sorted(fitting)


def stage_tensors(tensors: Mapping[str, np.ndarray], slug: str) -> dict[str, np.ndarray]:
    """The tensors of one stage, by the names that they have there."""
    prefix = f"{slug}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def gpu_block(problem: Problem) -> int:
    """Shots per inference call on a GPU; a power of two."""
    most = min(_GPU_BLOCK, _GPU_BLOCK_INCIDENCES // len(problem.mechanisms.detector))
    return max(BLOCK, 1 << (max(1, most).bit_length() - 1))


def in_blocks(
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    problem: Problem,
    device: torch.device | None = None,
    block: int = BLOCK,
) -> Inference:
    """Inference by a function of tensors, which is given blocks of so many shots, always.

    Args:
        function: Refines beliefs.
        problem: The problem.
        device: Where the function computes; None for the CPU.
        block: How many shots.
    """
    import torch

    def infer(syndromes: np.ndarray, beliefs: np.ndarray) -> np.ndarray:
        refined = np.empty_like(beliefs)
        for first in range(0, len(beliefs), block):
            shots = slice(first, first + block)
            bits, given = block_of(syndromes[shots], beliefs[shots], problem, block)
            with torch.inference_mode():
                answer = function(bits.to(device), given.to(device))
            if tuple(answer.shape) != tuple(given.shape):
                wrong = f"a stage answered beliefs of shape {tuple(answer.shape)}, not {tuple(given.shape)}"
                raise AutoQECError(wrong, code="wrong_shape")
            refined[shots] = answer[: len(beliefs[shots])].cpu().numpy()
        return refined

    return infer


def block_of(
    syndromes: np.ndarray, beliefs: np.ndarray, problem: Problem, block: int = BLOCK
) -> tuple[torch.Tensor, torch.Tensor]:
    """At most `block` shots as the tensors that a module is given; blank shots fill the block."""
    import torch

    bits = np.zeros((block, problem.num_detectors), dtype=np.float32)
    given = np.repeat(problem.priors_llr[None], block, axis=0)
    bits[: len(beliefs)] = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    given[: len(beliefs)] = beliefs
    return torch.from_numpy(bits), torch.from_numpy(given)


def _loaded(stage: Stage, tensors: Mapping[str, np.ndarray], problem: Problem) -> torch.nn.Module:
    """A stage's module with its weights. An error of building is the stage's own, whatever the weights are.

    Raises:
        AutoQECError: The weights do not fit.
    """
    import torch

    module: torch.nn.Module = stage.kind.build(stage.config, problem)
    given = {name: torch.from_numpy(np.array(tensor)) for name, tensor in tensors.items()}
    try:
        module.load_state_dict(given)
    except RuntimeError as error:
        if not _fit(module, tensors):
            raise _unfit(stage, error) from error
        raise  # a module may load its state in its own way
    return module.eval()


def _fit(module: torch.nn.Module, tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether weights have the names and shapes of a module's state."""
    own = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    return own == {name: value.shape for name, value in tensors.items()}


def _unfit(stage: Stage, error: Exception) -> AutoQECError:
    return AutoQECError(f"the weights do not fit stage {stage.slug!r}: {error}", code="weights_do_not_fit")


@dataclass(frozen=True)
class CompiledStage:
    """A stage that is ready: its inference, and its module, which is made when it is asked for if inference needs none."""

    stage: Stage
    infer: Inference
    module: Callable[[], torch.nn.Module]


def compile_stages(
    candidate: Candidate, tensors: Mapping[str, np.ndarray], problem: Problem, device: torch.device | None = None
) -> tuple[CompiledStage, ...]:
    """Compile each stage.

    Args:
        candidate: The pipeline.
        tensors: Its weights by `<slug>.<parameter>`.
        problem: The problem.
        device: Where torch computes stages that have no inference of their own; None for the CPU.

    Raises:
        AutoQECError: The weights do not fit the stages.
    """
    return tuple(_compiled(stage, stage_tensors(tensors, stage.slug), problem, device) for stage in candidate.stages)


def _compiled(
    stage: Stage, tensors: Mapping[str, np.ndarray], problem: Problem, device: torch.device | None
) -> CompiledStage:
    tensors = carried_stage(stage, tensors, problem).tensors
    try:
        step = stage.kind.inference(stage.config, tensors, problem)
    except (KeyError, ValueError, RuntimeError, UsageError) as error:
        if _fit(stage.kind.build(stage.config, problem), tensors):
            raise
        raise _unfit(stage, error) from error
    if step is not None:
        return CompiledStage(stage, step, lambda: _loaded(stage, tensors, problem))
    module = _loaded(stage, tensors, problem)
    if device is None or device.type == "cpu":
        return CompiledStage(stage, in_blocks(module, problem), lambda: module)
    # What is recorded and counted is the stage on a CPU.
    there = in_blocks(_loaded(stage, tensors, problem).to(device), problem, device, gpu_block(problem))
    return CompiledStage(stage, there, lambda: module)


def compile_inference(candidate: Candidate, tensors: Mapping[str, np.ndarray], problem: Problem) -> Inference:
    """Compile the whole predecoder to one function of bit-packed syndromes and prior beliefs.

    Args:
        candidate: The pipeline.
        tensors: Its weights by `<slug>.<parameter>`.
        problem: The problem.

    Returns:
        A function that returns float32 `[shots, mechanisms]`, clipped to ±`LLR_BOUND`; it keeps NaN, which the judge counts.

    Raises:
        AutoQECError: The weights do not fit the stages.
    """
    return chained([each.infer for each in compile_stages(candidate, tensors, problem)])


def chained(steps: Sequence[Inference]) -> Inference:
    """One inference after another, with beliefs that are clipped at the end."""

    def infer(syndromes: np.ndarray, beliefs: np.ndarray) -> np.ndarray:
        for step in steps:
            beliefs = step(syndromes, beliefs)
        return np.clip(beliefs, -LLR_BOUND, LLR_BOUND)

    return infer
