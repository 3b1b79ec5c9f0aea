"""Counts the cost of a predecoder: floating-point operations per shot and parameters.

A candidate does not declare its own cost. Trusted stages are counted by `operation_counts`, in the mode and the batch of
inference. A stage with code of others is recorded (`recorded_program`); a process without that code counts the program.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from autoqec.candidate.carrying import labels_among
from autoqec.candidate.compile import (
    BLOCK,
    CompiledStage,
    block_of,
    chained,
    compile_stages,
    in_blocks,
    load_tensors,
    stage_tensors,
)
from autoqec.candidate.operation_counts import count_flops
from autoqec.candidate.recorded_program import Program, record, stored_numbers
from autoqec.candidate.schema import Candidate, Output, Stage, Training
from autoqec.candidate.stage_contract import Inference
from autoqec.errors import UsageError
from autoqec.problem.geometry import find_geometry
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_labelled

if TYPE_CHECKING:
    import torch

#: Seeds of the two blocks of shots that are recorded, the first of which is the one that trusted stages are counted on.
_SEED, _OTHER_SEED = 1, 2

#: Blocks of shots on which a recorded stage is counted: its work may depend on what fired.
_COUNTED_BLOCKS = 16


@dataclass(frozen=True)
class Cost:
    """The cost of a predecoder, without the classical decoder.

    Attributes:
        flops_per_shot: FLOPs per shot.
        params: Learned parameters.
        constants: Numbers that recorded stages hold besides, which count as parameters too; `params` is without them.
        labels: Numbers in the weights that say what the others belong to, and are no parameters; one of eight bytes is two.
    """

    flops_per_shot: int
    params: int
    constants: int = 0
    labels: int = 0


def _stage_flops(stage: Stage, tensors: Mapping[str, np.ndarray], problem: Problem) -> int:
    formula = getattr(stage.kind, "flops_per_shot", None)
    if formula is not None:
        return int(formula(stage.config, problem))
    import torch

    # With trained weights and sampled shots, so that work which depends on fired detectors counts.
    modules = torch.nn.ModuleDict({stage.slug: stage.kind.build(stage.config, problem)}).eval()
    load_tensors(modules, tensors)
    module = modules[stage.slug]
    syndromes = torch.from_numpy(sample_labelled(problem, BLOCK, _SEED).syndromes).float()
    beliefs = torch.from_numpy(problem.priors_llr).expand(BLOCK, -1).contiguous()
    return -(-count_flops(lambda: module(syndromes, beliefs)) // BLOCK)


def measure_cost(candidate: Candidate, tensors: Mapping[str, np.ndarray], problem: Problem) -> Cost:
    """Count the operations of one forward pass of each stage, and the number of weights.

    A stage kind whose work the counter cannot see provides a formula, `flops_per_shot(config, problem)`.

    Raises:
        UsageError: A stage uses an operation that has no count.
    """
    flops = sum(_stage_flops(stage, tensors, problem) for stage in candidate.stages)
    labels = labels_among(candidate, tensors)
    params = sum(int(tensor.size) for name, tensor in tensors.items() if name not in labels)
    return Cost(flops, params, labels=sum(-(-tensors[name].nbytes // 4) for name in labels))


def _sampled(problem: Problem, shots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bit-packed syndromes of sampled shots, and the beliefs that a pipeline begins with."""
    bits = sample_labelled(problem, shots, seed).syndromes
    packed = np.packbits(bits.astype(bool), axis=1, bitorder="little")
    return packed, np.repeat(problem.priors_llr[None], shots, axis=0)


def record_stages(
    stages: Sequence[CompiledStage], foreign: Collection[str], problem: Problem, *, seeds: Sequence[int] = (_SEED,)
) -> dict[str, Program]:
    """Record the stages that bring code of others, each on the beliefs that it is given in the pipeline.

    Args:
        stages: The pipeline.
        foreign: The slugs of these stages.
        problem: The problem.
        seeds: Of blocks of shots; each is recorded, and all must come out alike.

    Raises:
        UsageError: A stage cannot be recorded, or does other operations on other shots.
    """
    found: dict[str, list[Program]] = {slug: [] for slug in foreign}
    for seed in seeds:
        syndromes, beliefs = _sampled(problem, BLOCK, seed)
        for each in stages:
            if each.stage.slug in found:
                module = each.module()
                weights = module.state_dict(keep_vars=True)
                found[each.stage.slug].append(record(module, *block_of(syndromes, beliefs, problem), weights))
            beliefs = each.infer(syndromes, beliefs)
    for slug, programs in found.items():
        if any(program.shape != programs[0].shape for program in programs):
            raise UsageError(
                f"stage {slug!r} does other operations on other shots, so that they cannot be counted",
                hint="let no Python value depend on a tensor's values: use torch.where instead of if",
                code="uncounted_operation",
            )
    return {slug: programs[0] for slug, programs in found.items()}


def _tensors_of(tensors: Mapping[str, np.ndarray], slug: str) -> dict[str, torch.Tensor]:
    import torch

    return {name: torch.from_numpy(np.array(tensor)) for name, tensor in stage_tensors(tensors, slug).items()}


def _numbers_held(programs: Iterable[Program], problem: Problem) -> int:
    """The numbers in constants, without those that say only what the problem is."""
    geometry = find_geometry(problem)
    known = [geometry.detector, geometry.mechanism, problem.priors_llr, geometry.side, geometry.coordinates]
    known += list(geometry.coordinates.T)
    public = [np.asarray(array, dtype=np.float64).ravel() for array in known]

    def told(constant: torch.Tensor) -> bool:
        if constant.is_complex():
            return False
        values = constant.double().numpy().ravel()
        return any(np.array_equal(values, array) for array in public)

    constants = [constant for program in programs for constant in program.constants.values()]
    return sum(stored_numbers(constant) for constant in constants if not told(constant))


class Meter:
    """A pipeline with a program in the place of each stage that brings code of others.

    Args:
        stages: The slugs of all stages, in order.
        trusted: Those that bring none, and their weights.
        programs: The others.
        tensors: All weights, by `<slug>.<parameter>`.
        problem: The problem.

    Raises:
        UsageError: A stage is neither trusted nor recorded.
        AutoQECError: The weights do not fit.
    """

    def __init__(
        self,
        stages: Sequence[str],
        trusted: Candidate,
        programs: Mapping[str, Program],
        tensors: Mapping[str, np.ndarray],
        problem: Problem,
    ):
        self._problem = problem
        ready = {each.stage.slug: each for each in compile_stages(trusted, tensors, problem)}
        runs = {slug: programs[slug].runner(_tensors_of(tensors, slug)) for slug in programs}
        if sorted(stages) != sorted([*ready, *runs]):
            raise UsageError("the candidate's process does not say how each of its stages works")
        self._steps: list[tuple[Inference, Callable[..., Any] | None]] = [
            (in_blocks(runs[slug], problem), runs[slug]) if slug in runs else (ready[slug].infer, None)
            for slug in stages
        ]
        self._fixed = sum(_stage_flops(each.stage, tensors, problem) for each in ready.values())
        self.constants = _numbers_held(programs.values(), problem)
        self.infer = chained([infer for infer, _ in self._steps])

    def flops(self, syndromes: np.ndarray | None = None, start: np.ndarray | None = None) -> int:
        """FLOPs per shot, counted on some blocks of shots.

        Args:
            syndromes: The shots, bit-packed; None for those on which a cost is counted before any is scored.
            start: What the pipeline starts from, float32 `[mechanisms]`; None for the problem's priors.
        """
        shots = BLOCK * _COUNTED_BLOCKS
        if syndromes is None:
            syndromes, beliefs = _sampled(self._problem, shots, _SEED)
        else:
            blocks = -(-len(syndromes) // BLOCK)
            chosen = np.linspace(0, blocks - 1, min(blocks, _COUNTED_BLOCKS)).astype(int)
            rows = (chosen[:, None] * BLOCK + np.arange(BLOCK)).ravel()
            # The last block is filled with shots again: blank ones would hide work that depends on what fired.
            syndromes = syndromes[rows % len(syndromes)]
            beliefs = np.repeat((self._problem.priors_llr if start is None else start)[None], len(syndromes), axis=0)
        counted = 0
        for infer, run in self._steps:
            if run is not None:
                counted += count_flops(partial(in_blocks(run, self._problem), syndromes, beliefs))
            beliefs = infer(syndromes, beliefs)
        whole = BLOCK * -(-len(syndromes) // BLOCK)
        return self._fixed + -(-counted // whole)


def measure_recorded(
    stages: Sequence[CompiledStage], foreign: Collection[str], tensors: Mapping[str, np.ndarray], problem: Problem
) -> Cost:
    """The cost of a pipeline with code of others, as a trusted process will count it."""
    programs = record_stages(stages, foreign, problem, seeds=(_SEED, _OTHER_SEED))
    mine = Candidate(Output(), Training(), tuple(each.stage for each in stages if each.stage.slug not in programs))
    meter = Meter([each.stage.slug for each in stages], mine, programs, tensors, problem)
    return Cost(meter.flops(), sum(int(tensor.size) for tensor in tensors.values()), meter.constants)
