"""A comparison of decoders on the same shots: the record, and what follows from its counts. Plain Python.

All that is decided follows from `Comparison.parts`: for each stretch of the stream of shots, how many shots each set of decoders
failed together. A set is a bit mask: bit i is the i-th decoder. So any pair follows from one record, and anyone can recompute
it. The tests hold whenever the counting stops (`autoqec.results.statistics`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from math import exp, inf, log
from typing import Any, Literal

from autoqec.results.counts import PairedCounts
from autoqec.results.decision import FUTILE_RATIO
from autoqec.results.note_form import mapping, write_record
from autoqec.results.reference_gates import GatedReference, behind_gate
from autoqec.results.statistics import finite, log_e_better, log_e_worse, mcnemar_p, rate_interval, ratio_interval

SCHEMA = "autoqec.decoder_comparison/1"

#: Probability, at most, that any word on any pair of a comparison is wrong. All pairs share it equally (Bonferroni).
COMPARISON_ALPHA = 0.05

#: "Not better" is shown if the ratio of rates is not below this one: a gain of 3 % or more is ruled out, as in a verdict.
NOT_BETTER_RATIO = FUTILE_RATIO

#: Decoders of one comparison, at most.
MOST_DECODERS = 32

#: Words on a pair: the second decoder against the first. `failed` where one of the two gave no answers.
PairWord = Literal["better", "not better", "undecided", "failed"]

#: The kinds of shots: drawn by a key, or read from files.
KEYED, RECORDED = "keyed", "recorded"

#: Why counting stopped.
Stopped = Literal["", "decided", "shots", "seconds", "interrupted", "failed"]


@dataclass(frozen=True)
class Spread:
    """A figure that was measured several times: the median, and the least and the most."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class DecodingTime:
    """How long a decoder takes on one core, in microseconds per shot, over several repeats.

    Attributes:
        repeats: How often each figure was measured.
        single_shots: Shots of a repeat that were decoded one by one.
        percentiles: Of their times, by name: `p50`, `p90`, `p99`, `p99.9`; those that so few shots cannot show are missing.
        batch_shots: Shots of the batch.
        batch: Time per shot in batches.
    """

    repeats: int
    single_shots: int
    percentiles: Mapping[str, Spread]
    batch_shots: int
    batch: Spread

    @property
    def shots_per_second(self) -> float:
        """Throughput in batches."""
        return 1e6 / self.batch.median if self.batch.median else inf


@dataclass(frozen=True)
class Failed:
    """Why a decoder gives no answers (`autoqec.comparing.decoder_process.DecoderFault`), and how many shots it had answered."""

    reason: str
    problem: str
    hint: str = ""
    file: str = ""
    line: int = 0
    at: int = 0


@dataclass(frozen=True)
class ComparedDecoder:
    """One of the decoders.

    Attributes:
        label: Its name, with its fields.
        settings: What it is: the same settings give the same answers.
        fits: How a round's weights came to this problem; empty for other decoders.
        most_shots: It decodes the first so many shots only, because it is slow and that was asked for; None for all.
        gate: The decoder that chooses its shots, because it is slow and that was asked for: it decodes those which the other is
            least sure of, and elsewhere has the other's answer. Empty if it decodes all.
        failed: Why it stopped giving answers; None if it did not.
        time: How fast it is; None if that was not measured.
    """

    label: str
    settings: Mapping[str, Any]
    fits: str = ""
    most_shots: int | None = None
    gate: str = ""
    failed: Failed | None = None
    time: DecodingTime | None = None


@dataclass(frozen=True)
class ComparedSource:
    """What was decoded; see `autoqec.comparing.decoding_source`.

    Attributes:
        kind, name, p: As there.
        identity: SHA-256 of the file, or of what the environment says of its code and noise.
        fingerprint: Of the compiled error model.
        detectors, mechanisms, observables: Sizes.
        rounds: Syndrome-measurement rounds, if known.
        files: The environment's files, if they are small; a replay needs no other file then.
    """

    kind: str
    name: str
    identity: str
    fingerprint: str
    detectors: int
    mechanisms: int
    observables: int
    p: float | None = None
    rounds: int | None = None
    files: Mapping[str, str] = mapping()


@dataclass(frozen=True)
class ComparedShots:
    """Where the shots came from.

    Attributes:
        kind: `keyed`: drawn from the source, by a key, so that anyone can draw them again. `recorded`: read from files, all that
            there are.
        key: The key, 64 hexadecimal digits; empty for shots that nobody can draw again.
        files: SHA-256 of the files that they were read from.
        total: How many there are; None for as many as wanted.
    """

    kind: str
    key: str = ""
    files: Mapping[str, str] = mapping()
    total: int | None = None


@dataclass(frozen=True)
class ComparedPart:
    """A stretch of the stream of shots, after the previous one.

    Attributes:
        shots: How many.
        digest: SHA-256 of syndromes and true observables.
        took: The decoders that decoded it, as a bit mask.
        failed: Shots by the set of decoders that failed them, as a bit mask in decimal digits; without those that none failed.
        answers: SHA-256 of each decoder's answers, its first 16 digits; empty for one that did not decode it.
        invalid: Shots without a valid answer, by decoder.
        seconds: What each decoder's process took.
        gates: Of each decoder behind a gate, by its place: shots that it decoded; of the others, a sample that it decoded too;
            and those of the sample to which it gives another answer than the gate's decoder.
    """

    shots: int
    digest: str
    took: int
    failed: Mapping[str, int]
    answers: tuple[str, ...]
    invalid: tuple[int, ...]
    seconds: tuple[float, ...]
    gates: Mapping[str, tuple[int, int, int]] = mapping()


@dataclass(frozen=True)
class Rate:
    """A logical error rate per shot, with its exact interval at a number of shots fixed in advance."""

    failures: int
    shots: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """Two decoders on the same shots: the second, `other`, against the first, `base`.

    Attributes:
        base, other: Their places among the decoders.
        counts: The first in the baseline's place, the second in the candidate's.
        ratio: Of the second's rate to the first's; None while the first never failed.
        interval: Of that ratio, valid whenever one stops, corrected for all pairs; the upper end is None while no ratio is
            excluded.
        log_e_better: Log of the evidence that the second's rate is below the first's.
        log_e_not_better: Log of the evidence that it is not below `NOT_BETTER_RATIO` times the first's.
        word: What these show.
        p_better: On recorded shots, once all are decoded: McNemar's exact p-value of the second being better. It decides then.
    """

    base: int
    other: int
    counts: PairedCounts
    ratio: float | None
    interval: tuple[float, float | None]
    log_e_better: float
    log_e_not_better: float
    word: PairWord
    p_better: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Decoders on the same shots.

    Attributes:
        decoders: In the order in which they were named.
        source: What they decoded.
        shots: Where the shots came from.
        parts: What was counted.
        baseline: The place of the decoder that others are compared with first.
        until: When counting was to stop, in words.
        stopped: Why it did; empty while it goes on.
        created: When it began, in UTC.
        machine: The machine and its software.
        versions: Versions of what draws and decodes.
        schema: The version of this record.
    """

    decoders: tuple[ComparedDecoder, ...]
    source: ComparedSource
    shots: ComparedShots
    parts: tuple[ComparedPart, ...] = ()
    baseline: int = 0
    until: str = ""
    stopped: Stopped = ""
    created: str = ""
    machine: Mapping[str, str] = mapping()
    versions: Mapping[str, str] = mapping()
    schema: str = field(default=SCHEMA, metadata={"always": True})

    @property
    def total(self) -> int:
        """Shots of the stream that were decoded."""
        return sum(part.shots for part in self.parts)

    @property
    def pair_alpha(self) -> float:
        """The level of each pair: the error budget over the number of all pairs."""
        number = len(self.decoders)
        return COMPARISON_ALPHA / max(1, number * (number - 1) // 2)

    @property
    def needed(self) -> float:
        """The e-value that a word on a pair needs."""
        return 1 / self.pair_alpha

    @property
    def recorded(self) -> bool:
        """Whether the number of shots was fixed before anybody looked, so that tests are exact and look once, at the end."""
        return self.shots.kind == RECORDED

    @property
    def complete(self) -> bool:
        """Whether all recorded shots are decoded; False where they are drawn."""
        return self.recorded and self.total == self.shots.total

    @cached_property
    def _summed(self) -> tuple[tuple[int, int, dict[int, int]], ...]:
        """Shots, and shots by the set that failed them, by the decoders that decoded them."""
        shots: Counter[int] = Counter()
        failed: dict[int, Counter[int]] = {}
        for part in self.parts:
            shots[part.took] += part.shots
            failed.setdefault(part.took, Counter()).update({int(mask): n for mask, n in part.failed.items()})
        return tuple((took, shots[took], dict(failed[took])) for took in sorted(shots))

    def rate(self, place: int) -> Rate | None:
        """One decoder's logical error rate per shot; None if it decoded none."""
        found = [(shots, failed) for took, shots, failed in self._summed if took >> place & 1]
        shots = sum(each for each, _ in found)
        if not shots:
            return None
        failures = sum(number for _, failed in found for mask, number in failed.items() if mask >> place & 1)
        return Rate(failures, shots, failures / shots, *rate_interval(failures, shots))

    def invalid(self, place: int) -> int:
        """Shots on which a decoder gave no valid answer; they are among its failures."""
        return sum(part.invalid[place] for part in self.parts)

    def gate(self, place: int) -> GatedReference | None:
        """What a decoder behind a gate was run on, and how much it may have missed; None for any other."""
        parts = [part for part in self.parts if str(place) in part.gates]
        if not parts:
            return None
        sent, sampled, differing = map(sum, zip(*(part.gates[str(place)] for part in parts), strict=True))
        return behind_gate(sum(part.shots for part in parts), sent, sampled, differing)

    def seconds(self, place: int) -> float:
        """Seconds of a decoder's process."""
        return sum(part.seconds[place] for part in self.parts)

    def together(self) -> dict[tuple[int, ...], int]:
        """Shots by the decoders that failed them, on the shots that all decoded which did not fail themselves."""
        working = sum(1 << place for place, each in enumerate(self.decoders) if each.failed is None)
        counted: Counter[tuple[int, ...]] = Counter()
        for took, _, failed in self._summed:
            if took & working == working:
                for mask, number in failed.items():
                    counted[tuple(p for p in range(len(self.decoders)) if mask & working & 1 << p)] += number
        return {places: number for places, number in sorted(counted.items()) if places}

    def counts(self, base: int, other: int) -> PairedCounts:
        """Two decoders on the shots that both decoded, the first in the baseline's place."""
        both, number = 1 << base | 1 << other, 0
        counted: Counter[int] = Counter()
        for took, shots, failed in self._summed:
            if took & both == both:
                number += shots
                for mask, times in failed.items():
                    counted[mask & both] += times
        return PairedCounts(number, counted[both], counted[1 << base], counted[1 << other])

    def pair(self, base: int, other: int) -> Pair:
        """Two decoders on the same shots."""
        counts = self.counts(base, other)
        better, not_better = log_e_better(counts), log_e_worse(counts, NOT_BETTER_RATIO)
        ratio = counts.ler_ratio if counts.shots else None
        interval = ratio_interval(counts, self.pair_alpha)
        p = mcnemar_p(counts) if self.complete else None
        word = self._word(base, other, better, not_better, p)
        return Pair(base, other, counts, ratio, interval, finite(better), finite(not_better), word, p)

    def _word(self, base: int, other: int, better: float, not_better: float, p: float | None = None) -> PairWord:
        if any(self.decoders[place].failed is not None for place in (base, other)):
            return "failed"
        needed = log(self.needed)
        if self.recorded:
            if p is None:
                return "undecided"
            return "better" if p <= self.pair_alpha else "not better" if not_better >= needed else "undecided"
        return "better" if better >= needed else "not better" if not_better >= needed else "undecided"

    def pairs(self) -> Iterator[Pair]:
        """All pairs: first the others against the baseline, then these against each other, the earlier first."""
        return (self.pair(*places) for places in self._places())

    def _places(self) -> Iterator[tuple[int, int]]:
        places = [self.baseline, *(place for place in range(len(self.decoders)) if place != self.baseline)]
        return combinations(places, 2)

    def _undecided(self) -> list[tuple[int, int]]:
        """Pairs without a word: their intervals, which take long, are not needed for that."""
        found = []
        for base, other in self._places():
            counts = self.counts(base, other)
            evidence = log_e_better(counts), log_e_worse(counts, NOT_BETTER_RATIO)
            p = mcnemar_p(counts) if self.complete else None
            if self._word(base, other, *evidence, p) == "undecided":
                found.append((base, other))
        return found

    def undecided(self) -> int:
        """How many pairs are undecided."""
        return len(self._undecided())

    def decided(self) -> bool:
        """Whether no pair is undecided that further shots could decide."""
        return all(self._had_enough(*places) for places in self._undecided())

    def _had_enough(self, base: int, other: int) -> bool:
        """Whether one of two decoders has decoded all the shots that it is to decode."""
        limits = [self.decoders[place].most_shots for place in (base, other)]
        return any(most is not None and self.total >= most for most in limits)

    def with_part(self, part: ComparedPart) -> Comparison:
        """The same with one more part."""
        return replace(self, parts=(*self.parts, part))

    def with_decoder(self, place: int, **changes: Any) -> Comparison:
        """The same with changes of one decoder."""
        decoders = list(self.decoders)
        decoders[place] = replace(decoders[place], **changes)
        return replace(self, decoders=tuple(decoders))


def e_value(log_e: float) -> float:
    """An e-value from its log."""
    return exp(min(log_e, 700.0))


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON values: the record, and under `results` what follows from it, for readers that do not compute."""
    decoders = [
        {
            "label": each.label,
            "shots": rate.shots,
            "failures": rate.failures,
            "ler": rate.rate,
            "ler_ci": [rate.low, rate.high],
            "invalid": comparison.invalid(place),
        }
        for place, each in enumerate(comparison.decoders)
        if (rate := comparison.rate(place)) is not None
    ]
    results = {
        "alpha": comparison.pair_alpha,
        "needed": comparison.needed,
        "decoders": decoders,
        "pairs": [_pair(comparison, pair) for pair in comparison.pairs()],
    }
    return write_record(comparison) | {"results": results}


def _pair(comparison: Comparison, pair: Pair) -> dict[str, Any]:
    return {
        "base": comparison.decoders[pair.base].label,
        "other": comparison.decoders[pair.other].label,
        "counts": {
            "shots": pair.counts.shots,
            "both": pair.counts.both,
            "base_only": pair.counts.baseline_only,
            "other_only": pair.counts.candidate_only,
        },
        "ler_ratio": pair.ratio,
        "ler_ratio_ci": list(pair.interval),
        "e_better": e_value(pair.log_e_better),
        "e_not_better": e_value(pair.log_e_not_better),
        "mcnemar_p": pair.p_better,
        "word": pair.word,
    }
