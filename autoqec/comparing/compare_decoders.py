"""Compares decoders on the same fresh shots: the one call behind `autoqec compare`.

The caller's process draws the shots and keeps what is true of them. Every decoder gets the same syndromes, in a process of its
own. Pieces of the stream are counted in order, whoever is ready first, so a key and a rule give the same counts on any number of
processes. Only a limit in seconds depends on the machine.
"""

from __future__ import annotations

import os
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from autoqec.comparing.comparison_file import read_comparison, require_same, write_comparison
from autoqec.comparing.counted_parts import CountedPart, part_size, pieces
from autoqec.comparing.decoder_names import InstalledDecoder, NamedDecoder, TrainedDecoder
from autoqec.comparing.decoder_pool import DecoderPool, processors
from autoqec.comparing.decoder_process import Answers, DecoderFault
from autoqec.comparing.decoding_source import DecodingSource
from autoqec.comparing.open_processes import open_process
from autoqec.comparing.shot_source import KeyedShots, ShotSource
from autoqec.comparing.stopping_rule import StoppingRule
from autoqec.comparing.timing import SECONDS
from autoqec.comparing.trained_process import fits_of
from autoqec.errors import UsageError
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import Shots
from autoqec.results.decoder_comparison import (
    MOST_DECODERS,
    ComparedDecoder,
    ComparedSource,
    Comparison,
    Failed,
)

#: Packages whose versions a saved comparison has: they draw the shots and decode most of them.
_PROVENANCE = ("autoqec", "stim", "pymatching", "numpy", "sinter", "ldpc", "fusion-blossom")

#: Bytes of a source's files that a saved comparison holds, so that it can be replayed alone.
_EMBEDDED_BYTES = 1024 * 1024

#: Shots on which times are measured.
_TIMED_SHOTS = 2048

#: Seconds between two words about progress.
_WORD_SECONDS = 0.5


@dataclass(frozen=True)
class ComparisonProgress:
    """How far a comparison is.

    Attributes:
        stage: `start`: decoders are compiled. `time`: one is measured. `count`: shots are decoded.
        detail: The decoder that this is about, or empty.
        comparison: What is counted so far.
        done: Shots that are decoded of what comes next, by decoder.
    """

    stage: str
    detail: str
    comparison: Comparison
    done: Mapping[str, int] = field(default_factory=dict)


Progress = Callable[[ComparisonProgress], None]


class ComparisonInterrupted(KeyboardInterrupt):
    """Somebody interrupted it; `comparison` is what was counted."""

    def __init__(self, comparison: Comparison):
        super().__init__()
        self.comparison = comparison


@dataclass(frozen=True)
class ComparisonPlan:
    """How decoders are compared.

    Attributes:
        until: When to stop.
        baseline: The place of the decoder that others are compared with first.
        most_shots: By label, a slow decoder that is to decode the first so many shots only.
        gated: Labels of slow decoders that are to decode only the shots of which the baseline is least sure. Elsewhere they have
            its answer.
        jobs: Processes that work at the same time.
        timing_seconds: How long each decoder's times are measured; 0 for not.
        save: Where the comparison is written after every look; a comparison goes on from it. None for nowhere.
    """

    until: StoppingRule = field(default_factory=StoppingRule)
    baseline: int = 0
    most_shots: Mapping[str, int] = field(default_factory=dict)
    gated: frozenset[str] = frozenset()
    jobs: int = field(default_factory=processors)
    timing_seconds: float = SECONDS
    save: Path | None = None


def compare(
    decoders: Sequence[NamedDecoder],
    source: DecodingSource,
    plan: ComparisonPlan = ComparisonPlan(),
    *,
    shots: Callable[[Problem], ShotSource] | None = None,
    progress: Progress = lambda event: None,
    registry: Registry | None = None,
) -> Comparison:
    """Compare decoders.

    Args:
        decoders: Two or more; see `autoqec.comparing.decoder_names.read_decoders`.
        source: What they decode.
        plan: When to stop, and what else may be said.
        shots: Where the shots come from, given the compiled problem; None for fresh ones, or those of the plan's file.
        progress: Called at once, and about twice a second.
        registry: Installed plugins; by default all that are found.

    Returns:
        The counts, and why counting stopped. A decoder that failed says so itself, and the others were counted on.

    Raises:
        UsageError, NotFoundError: A decoder cannot be made as it was named, the source cannot be decoded, or the plan's file is a
            comparison of something else.
        ComparisonInterrupted: On Ctrl-C; what was counted is in the plan's file.
        AutoQECError: The file cannot be written.
    """
    if not 2 <= len(decoders) <= MOST_DECODERS:
        raise UsageError(f"a comparison takes 2 to {MOST_DECODERS} decoders, not {len(decoders)}")
    registry = load_plugins() if registry is None else registry
    problem = source.problem(registry)
    saved = read_comparison(plan.save) if plan.save is not None and plan.save.exists() else None
    if shots is not None:
        stream = shots(problem)
    else:
        stream = KeyedShots(problem, bytes.fromhex(saved.shots.key) if saved and saved.shots.key else None)
    if stream.total is not None:
        # Exact tests look once, at a number of shots that was fixed before: at all of them.
        plan = replace(plan, until=StoppingRule(False, stream.total))
    begun = _begun(decoders, source, problem, stream, plan, registry)
    if saved is not None:
        assert plan.save is not None
        require_same(saved, begun, plan.save)
        begun = replace(saved, baseline=begun.baseline, until=begun.until, stopped="")
    openers = [partial(open_process, each, source, problem, registry) for each in decoders]
    with DecoderPool(openers, plan.jobs) as pool:
        return _Comparing(begun, plan, stream, pool, progress).run()


def _begun(
    decoders: Sequence[NamedDecoder],
    source: DecodingSource,
    problem: Problem,
    stream: ShotSource,
    plan: ComparisonPlan,
    registry: Registry,
) -> Comparison:
    """The comparison before anything is counted."""
    unknown = sorted({*plan.most_shots, *plan.gated} - {each.label for each in decoders})
    if unknown:
        raise UsageError(
            f"{unknown[0]} is none of the decoders", hint=f"name one of: {', '.join(e.label for e in decoders)}"
        )
    gate = _gate(decoders[plan.baseline], plan, registry) if plan.gated else ""
    compared = tuple(
        ComparedDecoder(
            label=each.label,
            settings=each.settings(),
            fits=fits_of(each, source, problem, registry) if isinstance(each, TrainedDecoder) else "",
            most_shots=plan.most_shots.get(each.label),
            gate=gate if each.label in plan.gated else "",
        )
        for each in decoders
    )
    return Comparison(
        decoders=compared,
        source=described(source, problem),
        shots=stream.record,
        baseline=plan.baseline,
        until=plan.until.label,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        versions=versions(),
    )


def _gate(baseline: NamedDecoder, plan: ComparisonPlan, registry: Registry) -> str:
    """The label of the decoder that chooses shots for others.

    Raises:
        UsageError: The baseline cannot choose, or is itself slow.
    """
    kind = baseline.choice.kind if isinstance(baseline, InstalledDecoder) else ""
    if not kind or not registry.get("decoder", kind).capabilities.get("confidence"):
        raise UsageError(
            f"the baseline {baseline.label} does not say how sure it is, so it cannot choose shots for others",
            hint="name mwpm, osd or bp_lsd as the baseline, or have slow decoders decode fewer shots: --fewer",
        )
    if baseline.label in plan.gated or baseline.label in plan.most_shots:
        raise UsageError(
            f"{baseline.label} chooses shots for others, so it has to decode all", hint="name another baseline"
        )
    return baseline.label


def described(source: DecodingSource, problem: Problem) -> ComparedSource:
    """What a saved comparison says of what was decoded."""
    files = source.loaded.files
    small = sum(map(len, files.values())) <= _EMBEDDED_BYTES
    return ComparedSource(
        kind=source.kind,
        name=source.name,
        identity=source.identity,
        fingerprint=problem.fingerprint,
        detectors=problem.num_detectors,
        mechanisms=len(problem.mechanisms),
        observables=problem.num_observables,
        p=source.p,
        rounds=source.rounds,
        files={name: data.decode("utf-8", "replace") for name, data in files.items()} if small else {},
    )


def versions() -> dict[str, str]:
    """Versions of the packages that draw the shots and decode most of them, as far as they are installed."""
    found = {}
    for name in _PROVENANCE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """What this runs on."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def gates_among(comparison: Comparison, places: Iterable[int]) -> dict[int, int]:
    """Of the decoders behind a gate among some: the place of the one that chooses their shots."""
    by_label = {each.label: place for place, each in enumerate(comparison.decoders)}
    return {place: by_label[gate] for place in places if (gate := comparison.decoders[place].gate)}


@dataclass
class _Piece:
    """Shots that are being decoded, with the decoders' answers to come."""

    shots: Shots
    answers: Mapping[int, Future[Answers | DecoderFault]]


class _Comparing:
    """The loop: pieces are handed out, counted in order, and looked at."""

    def __init__(
        self, begun: Comparison, plan: ComparisonPlan, stream: ShotSource, pool: DecoderPool, progress: Progress
    ):
        self._comparison, self._plan, self._stream, self._pool = begun, plan, stream, pool
        self._told, self._done = progress, dict[str, int]()
        self._last_word = self._began = 0.0
        self._open: CountedPart | None = None

    def run(self) -> Comparison:
        try:
            self._start()
            self._count()
        except KeyboardInterrupt as error:
            self._close_part()
            self._stop("interrupted")
            raise ComparisonInterrupted(self._comparison) from error
        return self._comparison

    def _say(self, stage: str, detail: str = "") -> None:
        self._last_word = time.monotonic()
        self._told(ComparisonProgress(stage, detail, self._comparison, dict(self._done)))

    def _save(self) -> None:
        if self._plan.save is not None:
            write_comparison(self._comparison, self._plan.save)

    def _stop(self, why: Any) -> None:
        self._comparison = replace(self._comparison, stopped=why)
        self._save()

    def _start(self) -> None:
        """Compile all decoders at the same time, then measure one after the other."""
        self._say("start")
        self._save()  # a file that cannot be written is found out before anything is decoded
        working = self._working()
        for place in working:
            self._pool.start(place)
        for place in working:
            self._say("start", self._comparison.decoders[place].label)
            found = self._pool.ready(place)
            if isinstance(found, DecoderFault):
                self._fail(place, found)
        if self._plan.timing_seconds > 0:
            shots = self._stream.apart(_TIMED_SHOTS).syndromes
            for place in self._working():
                if self._comparison.decoders[place].time is None and len(shots):
                    self._say("time", self._comparison.decoders[place].label)
                    took = self._pool.measure(place, shots, self._plan.timing_seconds)
                    if isinstance(took, DecoderFault):
                        self._fail(place, took)
                    else:
                        self._comparison = self._comparison.with_decoder(place, time=took)
        self._save()

    def _working(self) -> list[int]:
        return [place for place, each in enumerate(self._comparison.decoders) if each.failed is None]

    def _fail(self, place: int, fault: DecoderFault) -> None:
        counted = self._comparison.rate(place)
        failed = Failed(**fault.to_dict(), at=counted.shots if counted else 0)
        label = self._comparison.decoders[place].label
        self._comparison = self._comparison.with_decoder(place, failed=failed)
        for other in self._working():
            if self._comparison.decoders[other].gate == label:
                self._fail(other, DecoderFault("unusable", f"{label}, which chooses its shots, failed"))

    def _takes(self, first: int) -> tuple[int, ...]:
        """The decoders that decode a piece: those that did not fail, and have not had all the shots they are to have."""
        limits = {p: each.most_shots for p, each in enumerate(self._comparison.decoders)}
        return tuple(p for p in self._working() if (most := limits[p]) is None or first < most)

    def _pieces(self) -> Iterator[tuple[int, int]]:
        last = self._plan.until.shots
        if self._stream.total is not None:
            last = min(last, self._stream.total)
        cuts = tuple(each.most_shots for each in self._comparison.decoders if each.most_shots is not None)
        return pieces(self._comparison.total, last, cuts)

    def _count(self) -> None:
        self._began = time.monotonic()
        waiting: deque[_Piece] = deque()
        coming = self._pieces()
        at_once = 2 + self._plan.jobs // max(1, len(self._working()))
        while True:
            why = self._why_stop()
            if why:
                self._close_part()
                return self._stop(why)
            while len(waiting) < at_once and (stretch := next(coming, None)) is not None:
                waiting.append(self._handed_out(*stretch))
            if not waiting:
                self._close_part()
                return self._stop("shots")
            piece = waiting.popleft()
            answers = self._awaited(piece)
            if answers is None:
                continue  # the time is over
            if self._counted(piece.shots, answers):
                # What is underway was handed out to a decoder that failed; the others are asked again, which changes nothing.
                waiting.clear()
                coming = self._pieces()

    def _why_stop(self) -> str:
        if len(self._working()) < 2:
            return "failed"
        looked = self._open is None and self._comparison.total > 0
        if looked and self._plan.until.decided and self._comparison.decided():
            return "decided"
        seconds = self._plan.until.seconds
        counted = self._comparison.total > 0 or self._open is not None
        return "seconds" if counted and seconds is not None and time.monotonic() > self._began + seconds else ""

    def _handed_out(self, first: int, count: int) -> _Piece:
        shots = self._stream.take(first, count)
        takes = self._takes(first)
        gates = gates_among(self._comparison, takes)
        return _Piece(shots, self._pool.submit_all(shots.syndromes, takes, gates, self._note))

    def _note(self, place: int, done: int) -> None:
        self._done[self._comparison.decoders[place].label] = done

    def _awaited(self, piece: _Piece) -> dict[int, Answers | DecoderFault] | None:
        """All answers to a piece; None if the time is over before they come."""
        left = set(piece.answers.values())
        while left:
            _, left = wait(left, timeout=_WORD_SECONDS, return_when=FIRST_COMPLETED)
            if time.monotonic() > self._last_word + _WORD_SECONDS:
                self._say("count")
                if self._why_stop() == "seconds":
                    return None
        self._done.clear()
        return {place: future.result() for place, future in piece.answers.items()}

    def _counted(self, shots: Shots, found: Mapping[int, Answers | DecoderFault]) -> bool:
        """Count a piece; whether a decoder failed on it, so that it has to be handed out again without it."""
        faults = {place: each for place, each in found.items() if isinstance(each, DecoderFault)}
        if faults:
            self._close_part()
            for place, fault in faults.items():
                self._fail(place, fault)
            self._save()
            return True
        took = tuple(found)
        if self._open is not None and self._open.took != took:
            self._close_part()
        if self._open is None:
            self._open = CountedPart(len(self._comparison.decoders), took)
        self._open.add(shots, {place: each for place, each in found.items() if isinstance(each, Answers)})
        if self._open.shots >= part_size(self._comparison.total):
            self._close_part()
        return False

    def _close_part(self) -> None:
        if self._open is not None:
            self._comparison = self._comparison.with_part(self._open.record())
            self._open = None
            self._save()
            self._say("count")
