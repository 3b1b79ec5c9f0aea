"""Measures what the next round would take: a second of training, of scoring and of decoding, with the processes of a round.

It calls no agent and writes nothing to git. Shots are drawn by keys of its own, so no shot of a round is seen before its time;
of recorded shots it uses those for development alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from autoqec.config import BUILTIN
from autoqec.decoding.compile_decoder import compile_decoder, compile_references
from autoqec.loop.candidate_files import teacher_of, training_of
from autoqec.loop.round_state import RoundState
from autoqec.loop.round_steps import trains_locked
from autoqec.loop.screening import find_rivals, screen_shots
from autoqec.loop.session import Session
from autoqec.loop.training_probe import TrainingSpeed, first_candidate
from autoqec.problem.recording import is_recorded
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.results.round_plan import MeasuredRound
from autoqec.results.verdict import parse_verdict
from autoqec.runner.reading import canonical_candidate
from autoqec.runner.train import Limits, TrainingResult, train_candidate
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.stage_files import stages_to_warm_up
from autoqec.scoring.score_stream import ScoreStream, chunks_for
from autoqec.scoring.timed_decoding import TimedDecoding, seconds_with_beliefs

#: Seconds that are measured of each part, by the wall.
_SECONDS = 1.0

#: Shots that decide whether whole chunks can be scored in time, and processor seconds that a chunk may take.
_FEW, _CHUNK_SECONDS = 256, 10.0

#: No limit of a rival's cost: any round of the run may lend its candidate.
_ANY = 2**62

#: Told what is measured now.
Begin = Callable[[str], object]


@dataclass(frozen=True)
class _Borrowed:
    """A candidate to measure with: in words, its files, and its weights if it has any."""

    words: str
    files: Mapping[str, bytes]
    weights: bytes


def measure_round(session: Session, begin: Begin) -> MeasuredRound:
    """Measure parts of a round with the run's best candidate, or with the first one of the built-in agent.

    Args:
        session: Where.
        begin: Called before each part with what it is.

    Raises:
        AutoQECError: Nothing can be trained or scored here.
    """
    profile, protocol = session.settings.profile, session.environment.environment.protocol
    wanted = protocol.scaled(profile.score_shots)
    shots = min(wanted, protocol.score_shots or wanted)
    borrowed = _borrowed(session)
    begin(f"measuring training with {borrowed.words}")
    planned, per_second, training_starts = _training(session, borrowed)
    begin("measuring the decoders")
    alone = _seconds_alone(session)
    if alone[0] * CHUNK_SHOTS > _CHUNK_SECONDS:
        with session.executor() as executor:
            started, scored, judged = 0.0, *(executor.jobs / each for each in alone)
    else:
        begin(f"measuring scoring with {borrowed.words}")
        started, scored, judged = _scoring_speed(session, borrowed, chunks_for(shots))
    others = len(session.other_rates)
    return MeasuredRound(
        candidate=borrowed.words,
        train_per_second=per_second,
        train_shots=planned,
        train_at_most=profile.train_seconds,
        train_started=training_starts,
        started=started,
        score_per_second=scored,
        judge_per_second=judged,
        score_shots=CHUNK_SHOTS * (chunks_for(shots) + (others * chunks_for(shots // others) if others else 0)),
        screen_shots=screen_shots(session, profile) if session.records() else 0,
        verify_shots=min(protocol.max_shots, protocol.scaled(profile.verify_shots)),
        verify_at_most=profile.verify_seconds or None,
        verify_before=_verified_before(session),
        without_candidate=alone[0] * CHUNK_SHOTS > _CHUNK_SECONDS,
    )


def _borrowed(session: Session) -> _Borrowed:
    """The best candidate of the run whose weights are here, or the built-in agent's first one without weights."""
    known = [state for state in find_rivals(session, _ANY, _ANY, _ANY) if state.weights is not None]
    # One that is not trained itself, such as an ensemble of another round's, would say that training takes no time.
    best: RoundState | None = next(
        (state for state in known if training_of(state.files).shots), next(iter(known), None)
    )
    if best is not None and best.weights is not None:
        return _Borrowed(f"the candidate of {best.claim.run}/{best.claim.number}", best.files, best.weights)
    name = str(BUILTIN["ideator"])
    found = first_candidate(session.environment, session.registry, session.settings.profile)
    files = canonical_candidate(found, session.registry)
    return _Borrowed(f"the first candidate of the agent {name}", files, _untrained(session, files))


def _untrained(session: Session, files: Mapping[str, bytes]) -> bytes:
    """Weights as they are before the first step."""
    return _train(session, files, b"", max_shots=0).weights


def _training(session: Session, borrowed: _Borrowed) -> tuple[int, float | None, float]:
    """Training shots that are planned, how many a second are trained on, and seconds until the first; by the wall."""
    settings, profile = training_of(borrowed.files), session.settings.profile
    planned = min(settings.shots * settings.epochs, profile.train_shots)
    if not planned:
        return 0, None, 0.0
    speed, began = TrainingSpeed(_SECONDS), time.monotonic()
    with speed.enough():
        told = _train(session, borrowed.files, borrowed.weights, profile.train_shots, speed.report).telemetry
        # It was over before enough was measured.
        shots, seconds, took = told.get("shots"), told.get("seconds"), time.monotonic() - began
        return (int(shots), shots / seconds, max(0.0, took - seconds)) if shots and seconds else (0, None, took)
    return speed.total or planned, speed.per_second, max(0.0, (speed.began or began) - began)


def _train(
    session: Session,
    files: Mapping[str, bytes],
    parents: bytes,
    max_shots: int,
    report: Callable[[Mapping[str, object]], None] = lambda fields: None,
) -> TrainingResult:
    """Train as a round does, with a seed of its own."""
    profile, teacher = session.settings.profile, teacher_of(session, files)
    return train_candidate(
        files,
        session.dems,
        session.environment.environment.decoder.model_dump(),
        stages=stages_to_warm_up(files, session.registry),
        parents=parents,
        seed=os.urandom(32),
        max_shots=max_shots,
        inherit=bool(parents),
        locked=trains_locked(session, files),
        limits=Limits(profile.train_seconds, int(profile.memory_gib * 2**30)),
        report=report,
        teacher=teacher.model_dump() if teacher else None,
        recorded=session.training_shots,
    )


def _seconds_alone(session: Session) -> tuple[float, float]:
    """Processor seconds of a shot without the candidate: with all references, and without any."""
    environment, registry = session.environment.environment, session.registry
    own = compile_decoder(environment.decoder, session.problem, registry)
    references, _ = compile_references(environment.references, session.problem, registry)
    label = environment.decoder.label
    key = os.urandom(32)
    decoding = TimedDecoding(session.problem, {label: own} | references, key, _FEW, _SECONDS, lambda *told: None)
    if not decoding.run():
        raise KeyboardInterrupt
    takes = registry.get("decoder", environment.decoder.kind).capabilities.get("takes_beliefs")
    plain = decoding.measured[label]
    both = plain.seconds / plain.shots
    both += seconds_with_beliefs(session.problem, own, decoding.shots_of(0)) if takes else both
    beside = [each for name, each in decoding.measured.items() if name != label and each.shots]
    return both + sum(each.seconds / each.shots for each in beside), both


def _scoring_speed(session: Session, borrowed: _Borrowed, chunks: int) -> tuple[float, float, float]:
    """Seconds until the first shot is scored, and shots a second with references and without; by the wall, on all processes."""
    sealed = SealedCandidate(borrowed.files, borrowed.weights)
    most = chunks if is_recorded(session.environment) else _ANY
    with session.executor() as executor:
        at_once = max(1, min(executor.jobs, chunks // 3))  # workers elsewhere are not counted by the setting jobs
        stream = ScoreStream(executor, session.environment, sealed, os.urandom(32), "dev", device=session.device.kind)
        first = _timed(stream, 0, at_once, references=True)
        found, done = [], at_once
        for references in (True, False):
            spent = shots = 0.0
            while not shots or (spent < _SECONDS and done + at_once <= most):
                spent += _timed(stream, done if done + at_once <= most else 0, at_once, references=references)
                shots += at_once * CHUNK_SHOTS
                done += at_once
            found.append(shots / spent)
    return max(0.0, first - at_once * CHUNK_SHOTS / found[0]), found[0], found[1]


def _timed(stream: ScoreStream, first: int, chunks: int, *, references: bool) -> float:
    began = time.monotonic()
    stream.score(first, chunks, references=references)
    return time.monotonic() - began


def _verified_before(session: Session) -> float | None:
    """Median of the seconds of this run's verifications."""
    verdicts = [parse_verdict(record.verdict).record for record in session.records()]
    taken = [each.evidence.seconds for each in verdicts if each is not None and each.evidence.seconds is not None]
    return median(taken) if taken else None
