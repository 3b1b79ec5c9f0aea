"""A warm-up: before the lock, do everything once that the locked process will do, with a stand-in for the candidate's code.

Python, numba and torch load many of their parts on first use, and a locked process can load nothing. No document lists what a
first use needs, so the warm-up uses it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from autoqec.candidate.compile import build_modules, chained, compile_stages, module_tensors
from autoqec.candidate.cost import measure_recorded
from autoqec.candidate.schema import Candidate, Output, Stage, Training, read_candidate, write_candidate
from autoqec.candidate.stage_contract import StageKind
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.decoding.decoder_contract import CompiledDecoder
from autoqec.errors import UsageError
from autoqec.plugin_errors import explained
from autoqec.problem.problem import Problem

if TYPE_CHECKING:
    from autoqec.runner.shot_labels import Labelling

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


def sample_candidate(stages: Iterable[str], maker: Callable[[str], StageKind]) -> Candidate:
    """A candidate to warm up with: a stage of each kind, with a stand-in where the kind needs a module.

    A kind that cannot make its stage is left out; the locked process reports what is wrong when it reads the candidate.

    Args:
        stages: The fields of each stage as JSON; see `autoqec.sandbox.stage_files.stages_to_warm_up`.
        maker: Returns the stage plugin of a kind.
    """
    made: list[Stage] = []
    for number, text in enumerate(stages):
        fields = json.loads(text)
        with _survives(f"stage kind {fields['kind']}"):
            kind = maker(fields["kind"])
            source = getattr(kind, "STAND_IN", None)
            bound = kind if source is None else kind.with_module(source, "stand_in.py")  # type: ignore[attr-defined]
            made.append(Stage(f"stage{number}", bound, kind.Config.model_validate(fields), source))
    candidate = Candidate(Output(), Training(), tuple(made))
    with _survives("reading"):
        files = write_candidate(candidate)
        read_candidate(files, maker)
        # To say what is wrong with a file, pydantic loads more of itself.
        with suppress(UsageError):
            read_candidate({path: data + b"\nno_such_field: 0\n" for path, data in files.items()}, maker)
    return candidate


def training_from(fields: str) -> Training:
    """The fields of `training.yaml` as JSON; the built-in values where they are not valid, which reading reports later."""
    try:
        return Training.model_validate_json(fields)
    except ValidationError:
        return Training()


@contextmanager
def _survives(what: str) -> Iterator[None]:
    """Go on after an error of a warm-up: the locked process reports its own if it comes to the same place."""
    try:
        yield
    except Exception as error:
        print(f"the warm-up of {what} failed: {explained(error)}", file=sys.stderr)


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
    for stage in candidate.stages:
        if _part(stage) not in known:
            with _survives(f"stage kind {stage.config.kind}"):
                _predict_once(stand_in(replace(candidate, stages=(stage,))), problem)


def _predict_once(actor: Candidate, problem: Problem) -> None:
    tensors = load_weights(save_weights(module_tensors(build_modules(actor, problem)), fingerprints=["warm-up"]))
    syndromes = np.zeros((_BATCH, problem.syndrome_bytes), dtype=np.uint8)
    stages = compile_stages(actor, tensors, problem)
    chained([each.infer for each in stages])(syndromes, np.repeat(problem.priors_llr[None], _BATCH, axis=0))
    measure_recorded(stages, [stage.slug for stage in actor.stages if stage.module is not None], tensors, problem)


def warm_up_training(
    candidate: Candidate,
    problems: Sequence[Problem],
    decoders: Sequence[CompiledDecoder] | None,
    levels: Sequence[Problem] = (),
    labellings: Sequence[Labelling] = (),
) -> None:
    """Do everything that training will do, in one step for each stage."""
    few: dict[str, int] = {"shots": _BATCH, "batch_size": _BATCH, "epochs": 1}
    training = Training.model_validate(candidate.training.model_dump() | few)
    for stage in candidate.stages:
        with _survives(f"stage kind {stage.config.kind}"):
            actor = stand_in(replace(candidate, training=training, stages=(stage,)))
            _train_once(actor, problems, decoders, levels, labellings)
    warm_up_predictions(candidate, problems[0])


def _train_once(
    actor: Candidate,
    problems: Sequence[Problem],
    decoders: Sequence[CompiledDecoder] | None,
    levels: Sequence[Problem],
    labellings: Sequence[Labelling],
) -> None:
    from autoqec.runner.training import train

    ignore: Callable[[object], None] = lambda progress: None  # noqa: E731
    train(
        actor,
        problems,
        decoders,
        levels=levels,
        labellings=labellings,
        seed=_KEY,
        max_shots=_BATCH,
        initial={},
        inherit=False,
        report=ignore,
        validation_shots=_BATCH,
    )
