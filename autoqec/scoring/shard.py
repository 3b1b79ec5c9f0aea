"""Scoring tasks: draw chunks of shots, have them decoded with and without the candidate, and count the failures.

This code runs in an executor's process and knows the true observables. The matcher that it starts, and the candidate's process
behind that, receive syndromes only. The matcher is kept between tasks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autoqec.decoding.decoder_contract import Decoded
from autoqec.decoding.gating import Split
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.problem.problem import Problem
from autoqec.problem.recording import refuse_to_draw
from autoqec.problem.sampling import Shots, sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.results.counts import PairedCounts
from autoqec.results.failure_bands import FailureBand
from autoqec.sandbox.channel import Message
from autoqec.sandbox.lock import Lock
from autoqec.scoring.batches import batches
from autoqec.scoring.failure_table import Measure, by_confidence, measures_of
from autoqec.scoring.fault_strata import FaultStrata, StrataChunk, strata_chunk, strata_of
from autoqec.scoring.matcher import Matcher
from autoqec.scoring.reference_runs import ReferenceRun, runs_from_dict, runs_to_dict
from autoqec.scoring.scoring_requests import AgainTask, ScoringTask
from autoqec.scoring.strata_tally import StrataTally, tally
from autoqec.scoring.task_progress import TaskProgress

FUNCTION = "autoqec.scoring.shard:score_chunks"
AGAIN = "autoqec.scoring.shard:answer_again"
BY_RECORD = "autoqec.scoring.shard:answer_by_record"

#: The functions that draw the shots of their chunks, or are given them where they are recorded.
DRAWING = frozenset({FUNCTION, AGAIN, BY_RECORD})


@dataclass(frozen=True)
class ChunkScore:
    """The score of one chunk of shots.

    Attributes:
        counts: Baseline against candidate.
        neutral: The candidate's decoder with uninformative beliefs in the baseline's place; None if it was not run.
        invalid: Shots on which the candidate gave no valid answer (they are among its failures).
        references: Failures of each reference decoder.
        predict_seconds, decode_seconds, baseline_seconds, neutral_seconds: Wall time of one process on this chunk.
        cpu_seconds: Processor time of the candidate's process, as the kernel counts it.
        digest: SHA-256 of the packed shots, 64 hex digits, for replay.
        failed: Which shots the candidate failed, a bit each, in hex: pairs two candidates scored on the same shots.
        answers: SHA-256 of the candidate's predictions, 64 hex digits: any other process must give the same.
        lock: The layers around the candidate's process; None where it ran unlocked.
        reference_runs: What each reference took, and its counts behind a gate.
        sent: Shots that the candidate's gate sent on: all of them for an ensemble without a gate, None for neither.
        passes: How many times an ensemble's pipeline was asked about one of these; None without an ensemble.
        gate_flops: Floating-point operations of the gate's own steps on the chunk.
        plain_seconds, gate_seconds: Wall time of a gate: plain decoding, and what the confidence and further steps took.
        bands: Where the failures are, if that was asked.
        strata: The candidate and each other side by strata, if shots were drawn so: the baseline under the empty name, then
            `neutral` and the references, `reference NAME`.
    """

    counts: PairedCounts
    invalid: int
    references: Mapping[str, int]
    predict_seconds: float
    decode_seconds: float
    cpu_seconds: float
    baseline_seconds: float
    digest: str
    failed: str
    answers: str
    lock: Lock | None
    neutral: PairedCounts | None = None
    reference_runs: Mapping[str, ReferenceRun] = field(default_factory=dict)
    sent: int | None = None
    gate_flops: int = 0
    plain_seconds: float = 0.0
    gate_seconds: float = 0.0
    neutral_seconds: float = 0.0
    passes: int | None = None
    bands: tuple[FailureBand, ...] = ()
    strata: Mapping[str, StrataTally] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        told = {"counts": self.counts, "neutral": self.neutral, "lock": self.lock}
        plain = {name: each.to_dict() if each else None for name, each in told.items()}
        bands = [dict(vars(band)) for band in self.bands]
        strata = {name: each.to_dict() for name, each in self.strata.items()}
        parts = {"reference_runs": runs_to_dict(self.reference_runs), "bands": bands, "strata": strata}
        return dict(vars(self)) | plain | parts

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> ChunkScore:
        """The inverse of `to_dict`."""
        neutral = PairedCounts.from_dict(fields["neutral"]) if fields.get("neutral") else None
        lock = Lock.from_dict(fields["lock"]) if fields["lock"] else None
        counts = PairedCounts.from_dict(fields["counts"])
        runs = runs_from_dict(fields.get("reference_runs", {}))
        known = {"counts": counts, "neutral": neutral, "lock": lock, "reference_runs": runs}
        bands = tuple(FailureBand(**band) for band in fields.get("bands", ()))
        strata = {name: StrataTally.from_dict(each) for name, each in fields.get("strata", {}).items()}
        return ChunkScore(**{**fields, **known, "bands": bands, "strata": strata})


@dataclass
class _DecoderSet:
    """Everything one process needs to score one candidate on one problem."""

    problem: Problem
    matcher: Matcher
    lock: Lock | None
    drifted: dict[float, Problem] = field(default_factory=dict)  # by physical error rate
    progress: TaskProgress | None = None  # of the task that it works on
    measures: tuple[Measure, ...] | None = None  # what shots are banded by, once a table is asked for
    strata: FaultStrata | None = None  # of the problem, once shots are drawn by them


#: The decoder set of the last task in this process; a task for another candidate or problem reuses its matcher.
_decoder_set: tuple[str, _DecoderSet] | None = None


def _without_given(task: ScoringTask) -> Mapping[str, bytes]:
    """The blobs of a task that are the same for all its chunks: no matcher is given an observable."""
    return replace(task, given=(), given_syndromes=b"", given_observables=b"").to_message().blobs


def _open_decoder_set(task: ScoringTask, matcher: Matcher | None) -> _DecoderSet:
    p, strong, blobs = task.p, task.strong, _without_given(task)
    kept = matcher is not None
    matcher = matcher or Matcher(blobs, p, strong, ungated=task.ungated, device=task.device)
    try:
        if kept:
            matcher.open(blobs, p, strong, ungated=task.ungated, device=task.device)
        # The matcher loads while the problem is built here.
        loaded = environment_from_files(task.environment, origin="the environment")
        problem = build_problem(loaded, load_plugins().maker("code"), p)
        return _DecoderSet(problem, matcher, matcher.wait(problem.observable_bytes))
    except BaseException:
        matcher.close()
        raise


def _current_decoder_set(task: ScoringTask) -> _DecoderSet:
    global _decoder_set
    blobs = _without_given(task)
    parts = [name.encode() + hashlib.sha256(blobs[name]).digest() for name in sorted(blobs)]
    key = hashlib.sha256(
        b"".join(parts) + json.dumps([task.p, task.strong, task.ungated, task.device]).encode()
    ).hexdigest()
    if _decoder_set is None or _decoder_set[0] != key:
        matcher, _decoder_set = (_decoder_set[1].matcher if _decoder_set else None), None
        _decoder_set = key, _open_decoder_set(task, matcher)
    return _decoder_set[1]


@contextmanager
def _with_decoder_set(task: ScoringTask) -> Iterator[_DecoderSet]:
    """The decoder set of a task. After a fault it is dropped, so that its processes cannot answer for another task."""
    try:
        yield _current_decoder_set(task)
    except BaseException:
        _forget_decoder_set()
        raise


def _forget_decoder_set() -> None:
    """End the processes that are kept between tasks."""
    global _decoder_set
    if _decoder_set is not None:
        _decoder_set[1].matcher.close()
        _decoder_set = None


def _answers_digest(decoded: Decoded) -> str:
    return hashlib.sha256(decoded.observables.tobytes() + decoded.invalid.tobytes()).hexdigest()


def _paired(base_fails: np.ndarray, fails: np.ndarray) -> PairedCounts:
    return PairedCounts(
        shots=len(fails),
        both=int((base_fails & fails).sum()),
        baseline_only=int((base_fails & ~fails).sum()),
        candidate_only=int((~base_fails & fails).sum()),
    )


#: Of a decoder set without a candidate, and of a candidate without a gate.
_NO_SECONDS: Mapping[str, float] = {"predict": 0.0, "decode": 0.0, "cpu": 0.0, "passes": 0}
_NO_GATE: Mapping[str, float] = {"plain": 0.0, "gate": 0.0, "flops": 0}


@dataclass(frozen=True)
class _Answered:
    """The answers of a candidate and its gate to some shots.

    Attributes:
        answer: All of them.
        seconds: What the candidate and its decoder took; see `DecoderSet.candidate`.
        split: What the gate made of the shots; None without one.
        gate: What the gate took; see `DecoderSet.gate`.
    """

    answer: Decoded
    seconds: Mapping[str, float] = field(default_factory=lambda: dict(_NO_SECONDS))
    split: Split | None = None
    gate: Mapping[str, float] = field(default_factory=lambda: dict(_NO_GATE))


def _asked(matcher: Matcher, syndromes: np.ndarray, seed: int, progress: TaskProgress | None = None) -> _Answered:
    """Ask the candidate about the shots that its gate sends on, in batches as `autoqec.scoring.batches` cuts these."""
    split, gate = None, _NO_GATE
    if matcher.gated:
        with progress.pass_over("gate") if progress else nullcontext():
            split, gate = matcher.gate(syndromes)
    sent = split.sent if split else np.ones(len(syndromes), dtype=bool)
    parts, seconds, asked = [], dict(_NO_SECONDS), syndromes[sent] if split else syndromes
    # The candidate sees the sizes, so they are not drawn with the seed of the shots itself.
    for batch in batches(sent, derive_seed(seed.to_bytes(8, "big"), "batches", 0)):
        part = (batch.stop - batch.start) / len(asked)
        with progress.pass_over("candidate", part) if progress else nullcontext():
            decoded, took = matcher.candidate(asked[batch])
        parts.append(decoded)
        seconds = {name: each + took[name] for name, each in seconds.items()}
    return _Answered(_filled(split, parts), seconds, split, gate)


def _filled(split: Split | None, parts: Sequence[Decoded]) -> Decoded:
    """The answers to all shots, from those to the shots that a gate sent on."""
    if split is None:
        return _joined(parts)
    return split.filled(_joined(parts)) if parts else split.answer


def _without_candidate(matcher: Matcher, syndromes: np.ndarray, split: Split | None) -> tuple[Decoded, float]:
    """The answers to uninformative beliefs, of the shots that a gate sends on; and the seconds of these."""
    if split is None:
        return matcher.neutral(syndromes)
    if not split.sent.any():
        return split.answer, 0.0
    decoded, seconds = matcher.neutral(syndromes[split.sent])
    return split.filled(decoded), seconds


def _tabulated(
    decoders: _DecoderSet, syndromes: np.ndarray, baseline: np.ndarray, candidate: np.ndarray
) -> tuple[FailureBand, ...]:
    """Where both sides fail, by fired detectors and their place, and by the plain decoder's confidence, if it has one."""
    if decoders.measures is None:
        decoders.measures = measures_of(decoders.problem)
    found = [band for measure in decoders.measures for band in measure.bands(syndromes, baseline, candidate)]
    sure = decoders.matcher.confidence(syndromes)
    return (*found, *(by_confidence(*sure, baseline, candidate) if sure else ()))


@dataclass(frozen=True)
class _Drawn:
    """A chunk of shots; if it was drawn by strata, which those are, and how many are listed and drawn."""

    shots: Shots
    chunk: StrataChunk | None = None
    listed: int = 0
    drawn: int = 0

    def tallies(self, fails: np.ndarray, others: Mapping[str, np.ndarray]) -> dict[str, StrataTally]:
        """Other sides, each paired with the candidate, by strata; empty for plain shots."""
        chunk = self.chunk
        if chunk is None:
            return {}
        return {name: tally(chunk, self.listed, self.drawn, other, fails) for name, other in others.items()}


def _draw(decoders: _DecoderSet, task: ScoringTask, place: int) -> _Drawn:
    """Draw a task's chunk number `place`; recorded shots come with the task."""
    seed = task.seeds[place]
    if task.given:
        return _Drawn(_given(decoders.problem, task, place))
    refuse_to_draw(task.environment)
    if not task.shares:
        return _Drawn(sample_chunk(_drifted(decoders, task, task.drift), seed))
    decoders.strata = decoders.strata or strata_of(decoders.problem)
    first = task.first_listed[place] if task.first_listed else sum(task.listed)
    chunk = strata_chunk(decoders.problem, decoders.strata, seed, task.shares, first, task.listed)
    return _Drawn(chunk.shots, chunk, len(task.listed), len(task.shares))


def _given(problem: Problem, task: ScoringTask, place: int) -> Shots:
    """The recorded shots of a task's chunk number `place`."""
    first = sum(task.given[:place])
    rows = slice(first, first + task.given[place])
    syndromes = np.frombuffer(task.given_syndromes, dtype=np.uint8).reshape(-1, problem.syndrome_bytes)
    observables = np.frombuffer(task.given_observables, dtype=np.uint8).reshape(-1, problem.observable_bytes)
    return Shots(syndromes[rows], observables[rows])


def _score(
    decoders: _DecoderSet, drawn: _Drawn, with_references: bool, seed: int, *, tabulate: bool = False
) -> ChunkScore:
    shots = drawn.shots
    progress = decoders.progress or TaskProgress(decoders.matcher, 1, with_references)
    with progress.pass_over("known"):
        sample = derive_seed(seed.to_bytes(8, "big"), "reference sample", 0)
        known, baseline_seconds = decoders.matcher.known(shots.syndromes, with_references, sample)
    plain = known.pop("")
    found = _Answered(plain)
    if decoders.matcher.has_candidate:
        found = _asked(decoders.matcher, shots.syndromes, seed, progress)
    answer, seconds = found.answer, found.seconds
    base_fails = plain.failures(shots.observables)
    fails = answer.failures(shots.observables)
    sides = {"": base_fails}
    neutral, neutral_seconds = None, 0.0
    if with_references and decoders.matcher.has_candidate:
        with progress.pass_over("neutral"):
            untold, neutral_seconds = _without_candidate(decoders.matcher, shots.syndromes, found.split)
        sides["neutral"] = untold.failures(shots.observables)
        neutral = _paired(sides["neutral"], fails)
    failed = {name: decoded.failures(shots.observables) for name, decoded in known.items()}
    sides |= {f"reference {name}": each for name, each in failed.items()}
    return ChunkScore(
        counts=_paired(base_fails, fails),
        neutral=neutral,
        invalid=int(answer.invalid.sum()),
        references={name: int(each.sum()) for name, each in failed.items()},
        predict_seconds=seconds["predict"],
        decode_seconds=seconds["decode"],
        cpu_seconds=seconds["cpu"],
        baseline_seconds=baseline_seconds,
        reference_runs=dict(decoders.matcher.reference_runs) if with_references else {},
        digest=hashlib.sha256(shots.syndromes.tobytes() + shots.observables.tobytes()).hexdigest(),
        failed=np.packbits(fails).tobytes().hex(),
        answers=_answers_digest(answer),
        lock=decoders.lock,
        sent=_sent(decoders.matcher, found, len(shots)),
        passes=int(seconds["passes"]) if decoders.matcher.ensembled else None,
        gate_flops=int(found.gate["flops"]),
        plain_seconds=found.gate["plain"],
        gate_seconds=found.gate["gate"],
        neutral_seconds=neutral_seconds,
        bands=_tabulated(decoders, shots.syndromes, base_fails, fails) if tabulate else (),
        strata=drawn.tallies(fails, sides),
    )


def _sent(matcher: Matcher, found: _Answered, shots: int) -> int | None:
    if found.split is not None:
        return int(found.split.sent.sum())
    return shots if matcher.ensembled else None


def score_chunks(message: Message) -> Message:
    """Score chunks.

    Args:
        message: A `ScoringTask`.

    Returns:
        Field `chunks`: one `ChunkScore` as a mapping per seed, in order. Field `missing`: references that were left out
        because a package is not installed, and the commands that install it.

    Raises:
        CandidateFault: The candidate broke its contract.
        UsageError, NotFoundError: The environment or a decoder cannot be used.
    """
    task = ScoringTask.from_message(message)
    with _with_decoder_set(task) as decoders:
        decoders.progress = TaskProgress(decoders.matcher, len(task.seeds), task.references)
        scores = [
            _score(decoders, _draw(decoders, task, place), task.references, seed, tabulate=task.tabulate)
            for place, seed in enumerate(task.seeds)
        ]
        return Message({"chunks": [score.to_dict() for score in scores], "missing": decoders.matcher.missing})


@dataclass(frozen=True)
class GivenScore:
    """The result of shots that were built, not drawn: their score, and which of them each side failed, bool `[shots]`."""

    problem: Problem
    score: ChunkScore
    baseline: np.ndarray
    candidate: np.ndarray


def score_given(task: ScoringTask, build: Callable[[Problem], Shots]) -> GivenScore:
    """Score shots that a function builds from the problem, in the same way as drawn shots.

    Args:
        task: As for `score_chunks`, but for its seeds.
        build: Makes the shots.
    """
    with _with_decoder_set(task) as decoders:
        shots, decoders.progress = build(decoders.problem), None
        score = _score(decoders, _Drawn(shots), False, len(shots))
        candidate = np.unpackbits(np.frombuffer(bytes.fromhex(score.failed), np.uint8), count=len(shots)).astype(bool)
        known, _ = decoders.matcher.known(shots.syndromes, False)
        baseline = known[""].failures(shots.observables)
        return GivenScore(decoders.problem, score, baseline, candidate)


def cost(message: Message) -> Message:
    """What a candidate costs, as `DecoderSet.cost` says; the message is as for `score_chunks`."""
    with _with_decoder_set(ScoringTask.from_message(message)) as decoders:
        return Message(
            decoders.matcher.cost() if decoders.matcher.has_candidate else {"flops_per_shot": 0, "params": 0}
        )


def _drifted(decoders: _DecoderSet, task: ScoringTask, rate: float | None) -> Problem:
    """The problem whose shots are drawn: at another rate than decoders and candidate are told, if there is one."""
    if rate is None:
        return decoders.problem
    if rate not in decoders.drifted:
        loaded = environment_from_files(task.environment, origin="the environment")
        problem = build_problem(loaded, load_plugins().maker("code"), rate)
        sizes = [(each.num_detectors, each.num_observables) for each in (problem, decoders.problem)]
        if sizes[0] != sizes[1]:
            raise UsageError(f"at p = {rate} the code has other detectors or observables than at the target")
        decoders.drifted[rate] = problem
    return decoders.drifted[rate]


def _mixed(matcher: Matcher, chunks: Sequence[Shots], seed: int) -> list[Decoded]:
    """The candidate's answers to the shots of several chunks, asked in one random order."""
    syndromes = np.concatenate([chunk.syndromes for chunk in chunks])
    order = np.random.default_rng(seed).permutation(len(syndromes))
    told = _asked(matcher, syndromes[order], seed).answer
    back = np.argsort(order)
    ends = np.cumsum([len(chunk) for chunk in chunks])[:-1]
    parts = zip(np.split(told.observables[back], ends), np.split(told.invalid[back], ends), strict=True)
    return [Decoded(*part) for part in parts]


def answer_again(message: Message) -> Message:
    """Predict scored chunks again in fresh processes, with their shots in other company.

    Args:
        message: An `AgainTask`; `seeds` are those of the chunks. Half of a chunk's shots are mixed with twice as many of each of
            two other rates, so that an answer which depends on how noisy its neighbours are comes out otherwise.

    Returns:
        Field `answers`: SHA-256 of each chunk's predictions, in order — `ChunkScore.answers`, if the candidate has no memory,
        no clock, no dice, and treats shots one by one.

    Raises:
        CandidateFault: As for `score_chunks`.
    """
    # A fresh matcher: forks of the same fork server share the order of sets and the memory layout, so they could agree by luck.
    task = AgainTask.from_message(message)
    decoders = _open_decoder_set(task, None)
    with decoders.matcher:
        scored = [_draw(decoders, task, place).shots for place in range(len(task.seeds))]
        if not decoders.matcher.has_candidate:
            known = [decoders.matcher.known(chunk.syndromes, False)[0][""] for chunk in scored]
            return Message({"answers": [_answers_digest(each) for each in known]})
        parts: list[list[Shots]] = [[] for _ in range(max(1, len(task.rates)))]
        for number, chunk in enumerate(scored):
            for place, part in enumerate(parts):
                part.append(_part_of(chunk, place, len(parts)))
                if task.rates:
                    company = derive_seed(task.seeds[number].to_bytes(8, "big"), "company", place)
                    part.append(sample_chunk(_drifted(decoders, task, task.rates[place]), company))
        answers = [_mixed(decoders.matcher, part, task.seeds[0] ^ place) for place, part in enumerate(parts)]
    step = 2 if task.rates else 1
    halves = [[answer[number * step] for answer in answers] for number in range(len(scored))]
    return Message({"answers": [_answers_digest(_joined(each)) for each in halves]})


def _part_of(shots: Shots, place: int, of: int) -> Shots:
    """One of so many equal parts of some shots."""
    chosen = np.array_split(np.arange(len(shots)), of)[place]
    return Shots(shots.syndromes[chosen], shots.observables[chosen])


def _joined(parts: Sequence[Decoded]) -> Decoded:
    return Decoded(
        np.concatenate([part.observables for part in parts]), np.concatenate([part.invalid for part in parts])
    )


def answer_by_record(message: Message) -> Message:
    """Predict scored chunks again by the candidate's recorded operations, in a process without its code, and count these.

    The operations are recorded by a fresh process of the candidate, which is never sent these chunks.

    Args:
        message: A `ScoringTask`; `seeds` are those of the chunks.

    Returns:
        Fields `answers`, as for `answer_again`; `flops_per_shot`, of a shot that is sent on, and `constants`, the most of any
        chunk; `cpu_seconds` of all.

    Raises:
        CandidateFault: As for `score_chunks`.
    """
    task = ScoringTask.from_message(message)
    decoders = _open_decoder_set(task, None)
    with decoders.matcher:
        answers, counted = [], [{"flops_per_shot": 0, "constants": 0, "cpu": 0.0}]
        for place in range(len(task.seeds)):
            syndromes = _draw(decoders, task, place).shots.syndromes
            split = decoders.matcher.gate(syndromes)[0] if decoders.matcher.gated else None
            asked, parts = syndromes[split.sent] if split else syndromes, []
            if len(asked):
                decoded, told = decoders.matcher.recorded(asked)
                parts.append(decoded)
                counted.append(dict(told))
            answers.append(_answers_digest(_filled(split, parts)))
    fields: dict[str, Any] = {
        name: int(max(each[name] for each in counted)) for name in ("flops_per_shot", "constants")
    }
    return Message(fields | {"answers": answers, "cpu_seconds": sum(each["cpu"] for each in counted)})
