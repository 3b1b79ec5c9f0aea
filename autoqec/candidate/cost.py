"""Counts the cost of a predecoder: floating-point operations per shot and learned parameters.

A candidate does not declare its own cost: the counter sees every tensor operation of a forward pass when torch dispatches it.
Matrix products count two operations per multiply-add, gathers and scatters one per moved element, all other operations one per
element of the largest operand. With matrix products only, belief propagation would cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoqec.candidate.compile import load_tensors
from autoqec.candidate.schema import Candidate, Stage
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_labelled

#: Shots in the counted batch; a cost that does not grow with the batch is divided among them.
_BATCH = 64
_SEED = 1

#: Operations that only create views or allocate memory.
_FREE = frozenset(
    "view _unsafe_view reshape expand unsqueeze squeeze transpose t permute detach alias slice select split unbind "
    "as_strided empty empty_like empty_strided lift_fresh _reshape_alias unfold diagonal".split()
)


@dataclass(frozen=True)
class Cost:
    """FLOPs of the predecoder per shot (without the classical decoder), and its learned parameters."""

    flops_per_shot: int
    params: int


def _elements(values: Any) -> int:
    import torch

    if isinstance(values, torch.Tensor):
        return values.numel()
    if isinstance(values, list | tuple):
        return max((_elements(value) for value in values), default=0)
    return 0


def count_flops(function: Callable[[], Any]) -> int:
    """Count the floating-point operations, gathers and scatters of one call."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
        total = 0

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # otherwise torch imports its compiler, which takes two seconds and is not used here

        def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = op(*args, **(kwargs or {}))
            name = op._schema.name.split("::")[1].rstrip("_")
            if op.overloadpacket in flop_registry:
                self.total += flop_registry[op.overloadpacket](*args, **(kwargs or {}), out_val=out)
            elif name in ("index_select", "gather", "embedding", "index"):
                self.total += _elements(out)
            elif name in ("index_add", "scatter_add", "scatter_reduce", "index_put", "scatter", "index_copy"):
                self.total += _elements(args[-1]) if _elements(args[-1]) else _elements(args)
            elif name not in _FREE:
                self.total += max(_elements(out), _elements(args))
            return out

    with Counter() as counter:  # type: ignore[no-untyped-call]
        function()
    return counter.total


def _stage_flops(stage: Stage, tensors: Mapping[str, np.ndarray], problem: Problem) -> int:
    formula = getattr(stage.kind, "flops_per_shot", None)
    if formula is not None:
        return int(formula(stage.config, problem))
    import torch

    # With trained weights and sampled shots, so that work which depends on fired detectors counts.
    modules = torch.nn.ModuleDict({stage.slug: stage.kind.build(stage.config, problem)}).eval()
    load_tensors(modules, tensors)
    module = modules[stage.slug]
    syndromes = torch.from_numpy(sample_labelled(problem, _BATCH, _SEED).syndromes).float()
    beliefs = torch.from_numpy(problem.priors_llr).expand(_BATCH, -1).contiguous()
    with torch.no_grad():
        return -(-count_flops(lambda: module(syndromes, beliefs)) // _BATCH)


def measure_cost(candidate: Candidate, tensors: Mapping[str, np.ndarray], problem: Problem) -> Cost:
    """Count the operations of one forward pass of each stage, and the number of weights.

    A stage kind whose work the counter cannot see provides a formula, `flops_per_shot(config, problem)`.
    """
    flops = sum(_stage_flops(stage, tensors, problem) for stage in candidate.stages)
    return Cost(flops, sum(int(tensor.size) for tensor in tensors.values()))
