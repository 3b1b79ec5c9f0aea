"""A warm-up: before the lock, do everything once that the locked process will do, with a stand-in for the candidate's code.

Python, numba and torch load many of their parts on first use, and a locked process can load nothing. No document lists what a
first use needs, so the warm-up uses it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from autoqec.candidate.compile import build_modules, compile_inference, module_tensors
from autoqec.candidate.cost import measure_cost
from autoqec.candidate.schema import Candidate, Output, Stage, Training
from autoqec.candidate.stage_contract import StageKind
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.decoding.decoder_contract import TeachingDecoder
from autoqec.problem.problem import Problem

_KEY = bytes(32)
_BATCH = 16


def stand_in(candidate: Candidate) -> Candidate:
    """The candidate with every module of its own replaced by the one that its stage's kind warms up with (`STAND_IN`)."""
    stages = tuple(
        stage
        if stage.module is None
        else replace(stage, kind=stage.kind.with_module(stage.kind.STAND_IN, "stand_in.py"))  # type: ignore[attr-defined]
        for stage in candidate.stages
    )
    return replace(candidate, stages=stages)


def sample_candidate(kinds: Iterable[str], maker: Callable[[str], StageKind]) -> Candidate:
    """A candidate with a stage of each kind, with default fields, and a stand-in where the kind needs a module."""
    stages = []
    for name in kinds:
        kind = maker(name)
        source = getattr(kind, "STAND_IN", None)
        bound = kind if source is None else kind.with_module(source, "stand_in.py")  # type: ignore[attr-defined]
        stages.append(Stage(name, bound, kind.Config(kind=name), source))
    return Candidate(Output(), Training(), tuple(stages))


def parts(candidate: Candidate) -> set[str]:
    """The parts that a warm-up of a candidate covers: its stages, without their modules and positions."""
    return {_part(stage) for stage in candidate.stages}


def _part(stage: Stage) -> str:
    return json.dumps(stage.config.model_dump(mode="json", exclude={"position"}), sort_keys=True)


def warm_up_predictions(candidate: Candidate, problem: Problem, known: Collection[str] = ()) -> None:
    """Do everything that answering syndromes and counting costs will do.

    Args:
        candidate: The candidate.
        problem: The problem.
        known: The `parts` that this process, or the one it is a fork of, has warmed up on this problem.
    """
    fresh = replace(candidate, stages=tuple(stage for stage in candidate.stages if _part(stage) not in known))
    if not fresh.stages:
        return
    actor = stand_in(fresh)
    tensors = load_weights(save_weights(module_tensors(build_modules(actor, problem)), fingerprints=["warm-up"]))
    syndromes = np.zeros((_BATCH, problem.syndrome_bytes), dtype=np.uint8)
    compile_inference(actor, tensors, problem)(syndromes, np.repeat(problem.priors_llr[None], _BATCH, axis=0))
    measure_cost(actor, tensors, problem)


def warm_up_training(
    candidate: Candidate, problems: Sequence[Problem], decoders: Sequence[TeachingDecoder] | None
) -> None:
    """Do everything that training will do, in one step."""
    from autoqec.runner.training import train

    few: dict[str, int] = {"shots": _BATCH, "batch_size": _BATCH, "epochs": 1}
    training = Training.model_validate(candidate.training.model_dump() | few)
    ignore: Callable[[object], None] = lambda progress: None  # noqa: E731
    train(
        replace(stand_in(candidate), training=training),
        problems,
        decoders,
        seed=_KEY,
        max_shots=_BATCH,
        initial={},
        inherit=False,
        report=ignore,
        validation_shots=_BATCH,
    )
    warm_up_predictions(candidate, problems[0])
