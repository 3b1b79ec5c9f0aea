"""Counts a saved comparison again: draws its shots by its key, has its decoders decode them, and says what differs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from autoqec.comparing.compare_decoders import described, gates_among, versions
from autoqec.comparing.counted_parts import CountedPart, pieces
from autoqec.comparing.decoder_names import NamedDecoder, read_decoder
from autoqec.comparing.decoder_pool import DecoderPool
from autoqec.comparing.decoder_process import Answers, DecoderFault
from autoqec.comparing.decoding_source import DecodingSource, source_from_file
from autoqec.comparing.open_processes import open_process
from autoqec.comparing.recorded_source import recorded_again
from autoqec.comparing.shot_source import KeyedShots, ShotSource
from autoqec.errors import UsageError
from autoqec.plugins import Registry
from autoqec.problem.environment import environment_from_files
from autoqec.problem.sampling import Shots
from autoqec.results.comparison_replay import Differs, Replay
from autoqec.results.decoder_comparison import ComparedPart, Comparison


def saved_source(saved: Comparison, registry: Registry, given: DecodingSource | None = None) -> DecodingSource:
    """What a saved comparison is about: given, from its own files, or from the file that it names.

    Raises:
        UsageError: It is not what was decoded, or not there.
    """
    told = saved.source
    if given is not None:
        source = given
    elif told.files:
        files = {name: text.encode() for name, text in told.files.items()}
        loaded = environment_from_files(files, origin=told.name)
        if told.kind not in ("circuit", "dem", "environment"):
            raise UsageError(f"the saved comparison decodes a {told.kind[:40]!r}, which this AutoQEC does not know")
        source = DecodingSource(told.kind, told.name, loaded, told.p if told.kind == "environment" else None)  # type: ignore[arg-type]
    elif told.kind in ("circuit", "dem") and Path(told.name).is_file():
        source = source_from_file(told.name, "circuit" if told.kind == "circuit" else "dem")
    else:
        raise UsageError(
            f"the file does not hold what it decoded, {told.name}", hint="give it: --circuit, --dem or --env with --p"
        )
    if source.identity != told.identity or source.problem(registry).fingerprint != told.fingerprint:
        raise UsageError(
            f"{source.label} is not what was decoded: its hash is {source.identity[:12]}, not {told.identity[:12]}",
            hint="give the circuit, error model or environment of the saved comparison",
            code="other_comparison",
        )
    here = described(source, source.problem(registry))
    for name in ("detectors", "mechanisms", "observables", "p", "rounds"):
        if getattr(told, name) != getattr(here, name):
            raise UsageError(
                f"source.{name} of the saved comparison is {getattr(told, name)}, but {source.label} has"
                f" {getattr(here, name)}",
                hint="compare again: whoever wrote this file changed it",
                code="other_comparison",
            )
    return source


def saved_decoders(saved: Comparison, registry: Registry, *, lab: str | Path = ".") -> tuple[NamedDecoder, ...]:
    """The decoders that a saved comparison names.

    Raises:
        NotFoundError, UsageError, MissingPackageError: One is not here.
    """
    return tuple(read_decoder(each.label, registry, lab=lab) for each in saved.decoders)


def replay(
    saved: Comparison,
    decoders: Sequence[NamedDecoder],
    source: DecodingSource,
    registry: Registry,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
    files: Sequence[Path] = (),
) -> Replay:
    """Count a saved comparison again.

    Args:
        saved: The comparison.
        decoders: Those that it names, in its order.
        source: What it decoded.
        registry: Installed plugins.
        jobs: Processes that work at the same time.
        progress: Called with the shots that are counted, and with all of them.
        files: Where recorded shots are: those of events, then those of observables; by default where they were.

    Raises:
        UsageError: It has no shots, they cannot be drawn again, or the files are not those that were read.
    """
    if not saved.parts:
        raise UsageError("the saved comparison has no shots", hint="count some with the command that wrote the file")
    problem = source.problem(registry)
    stream: ShotSource
    if saved.recorded:
        stream = recorded_again(saved.shots, problem, *files)
    elif files:
        raise UsageError("its shots were drawn by a key", hint="leave out --shots and --observables")
    elif not saved.shots.key:
        raise UsageError("it does not say the key of its shots, so nobody can draw them again", hint="compare again")
    else:
        stream = KeyedShots(problem, bytes.fromhex(saved.shots.key))
    openers = [partial(open_process, each, source, problem, registry) for each in decoders]
    with DecoderPool(openers, jobs) as pool:
        found = _Replaying(saved, stream, pool, 2 + jobs // len(decoders), progress)
        found.run()
    return Replay(
        saved=saved,
        shots=found.shots,
        other_shots=found.other_shots,
        differing=found.differing,
        versions=_differing_versions(saved),
        settings={
            there.label: f"{dict(there.settings)} there, {here.settings()} here"
            for there, here in zip(saved.decoders, decoders, strict=True)
            if dict(there.settings) != here.settings()
        },
    )


def _differing_versions(saved: Comparison) -> dict[str, tuple[str, str]]:
    here, there = versions(), saved.versions
    return {
        name: (there.get(name, "none"), here.get(name, "none"))
        for name in sorted(here.keys() | there.keys())
        if there.get(name) != here.get(name)
    }


class _Replaying:
    def __init__(
        self,
        saved: Comparison,
        stream: ShotSource,
        pool: DecoderPool,
        at_once: int,
        progress: Callable[[int, int], None],
    ):
        self._saved, self._stream, self._pool = saved, stream, pool
        self._at_once, self._progress = at_once, progress
        self.shots = 0
        self.other_shots: int | None = None
        self.differing: dict[str, Differs] = {}

    def run(self) -> None:
        self._progress(0, self._saved.total)
        waiting: deque[tuple[int, Shots, Mapping[int, Future[Answers | DecoderFault]]]] = deque()
        coming = self._stretches()
        open_part, number = None, 0
        while True:
            while len(waiting) < self._at_once and (stretch := next(coming, None)) is not None:
                waiting.append(self._handed_out(*stretch))
            if not waiting:
                return
            number, shots, futures = waiting.popleft()
            part = self._saved.parts[number]
            answers = {place: future.result() for place, future in futures.items()}
            faults = {place: each for place, each in answers.items() if isinstance(each, DecoderFault)}
            for place, fault in faults.items():
                self._differs(place, part, None, f"{fault.reason}: {fault.problem}")
            if open_part is None:
                took = tuple(place for place in answers if place not in faults)
                open_part = CountedPart(len(self._saved.decoders), took)
            kept = {place: each for place, each in answers.items() if isinstance(each, Answers)}
            open_part.took = tuple(place for place in open_part.took if place in kept)
            open_part.add(shots, kept)
            if open_part.shots == part.shots:
                self._compare(part, open_part.record())
                self.shots += part.shots
                self._progress(self.shots, self._saved.total)
                open_part = None

    def _stretches(self) -> Iterator[tuple[int, int, int]]:
        first = 0
        for number, part in enumerate(self._saved.parts):
            for begin, count in pieces(first, first + part.shots):
                yield number, begin, count
            first += part.shots

    def _handed_out(
        self, number: int, first: int, count: int
    ) -> tuple[int, Shots, Mapping[int, Future[Answers | DecoderFault]]]:
        shots, part = self._stream.take(first, count), self._saved.parts[number]
        takes = [
            place
            for place, each in enumerate(self._saved.decoders)
            if part.took >> place & 1 and each.label not in self.differing
        ]
        gates = gates_among(self._saved, takes)
        alone = [
            place for place in takes if gates.get(place, place) in takes
        ]  # a gate whose decoder differs chooses nothing
        return number, shots, self._pool.submit_all(shots.syndromes, alone, gates_among(self._saved, alone))

    def _compare(self, saved: ComparedPart, found: ComparedPart) -> None:
        if saved.digest != found.digest and self.other_shots is None:
            self.other_shots = self.shots
        for place in range(len(self._saved.decoders)):
            if not (saved.took & found.took) >> place & 1:
                continue
            there, here = (_failures(part, place) for part in (saved, found))
            if there != here:
                self._differs(place, saved, here, f"it failed {here:,} shots, not {there:,}")
            elif saved.answers[place] != found.answers[place]:
                self._differs(place, saved, here, "it failed as many shots, with other answers")
            elif saved.invalid[place] != found.invalid[place]:
                why = f"{found.invalid[place]:,} shots have no valid answer, not {saved.invalid[place]:,}"
                self._differs(place, saved, here, why)
            elif saved.gates.get(str(place)) != found.gates.get(str(place)):
                self._differs(place, saved, here, "it decoded other shots behind its gate")

        # Joint counts of a decoder that differs differ, too, and say nothing about the others.
        same = [p for p, each in enumerate(self._saved.decoders) if each.label not in self.differing]
        same = [place for place in same if (saved.took & found.took) >> place & 1]
        if _together(saved, same) != _together(found, same):
            for place in same:
                why = "the saved joint counts do not follow from these shots"
                self._differs(place, saved, _failures(found, place), why)

    def _differs(self, place: int, saved: ComparedPart, failures: int | None, why: str) -> None:
        label = self._saved.decoders[place].label
        self.differing.setdefault(label, Differs(self.shots, failures, _failures(saved, place), why))


def _failures(part: ComparedPart, place: int) -> int:
    return sum(number for mask, number in part.failed.items() if int(mask) >> place & 1)


def _together(part: ComparedPart, places: Sequence[int]) -> Counter[int]:
    """Shots by which of some decoders failed them."""
    among, counted = sum(1 << place for place in places), Counter[int]()
    for mask, number in part.failed.items():
        counted[int(mask) & among] += number
    del counted[0]
    return counted
