"""The sum of scored chunks. Sums add, and do not depend on who scored which part or in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autoqec.results.counts import PairedCounts
from autoqec.results.failure_bands import FailureBand, added
from autoqec.results.gate_costs import UsPerShot, mean_flops
from autoqec.results.reference_gates import GatedReference, behind_gate
from autoqec.sandbox.lock import Lock
from autoqec.scoring.reference_runs import ReferenceRun
from autoqec.scoring.shard import ChunkScore
from autoqec.scoring.strata_tally import StrataTally


@dataclass(frozen=True)
class Scored:
    """The sum of some chunks of one stream; `Scored()` is the sum of none.

    Attributes:
        counts: Baseline against candidate.
        neutral: The candidate's decoder with uninformative beliefs in the baseline's place, over `reference_shots` shots.
        invalid: Candidate's shots without a valid answer.
        references: Failures of each reference decoder, over `reference_shots` shots.
        reference_shots: Shots on which the references ran.
        reference_runs: What each reference took, and its counts behind a gate.
        missing: References that were left out, and the commands that install them.
        chunks: Chunks summed.
        predict_seconds, decode_seconds, baseline_seconds: Wall time of one process.
        plain_seconds, gate_seconds: Wall time of the candidate's gate: plain decoding, and what else it did.
        cpu_seconds: Processor time in the candidate's process, as the kernel counts it.
        digests: SHA-256 of each chunk's shots, in order.
        failed: Which shots of each chunk the candidate failed, a bit each, in hex.
        answers: SHA-256 of each chunk's predictions.
        lock: The layers of the sandbox around the candidate's process, the fewest of all parts; None where it ran unlocked.
        sent: Shots that the candidate's gate sent on; None without a gate.
        gate_flops: Floating-point operations of the gate's own steps.
        passes: How many times an ensemble's pipeline was asked about a shot; None without an ensemble.
        bands: Where the failures are, if that was asked.
        strata: The candidate and each other side by strata; see `ChunkScore`.
    """

    counts: PairedCounts = field(default_factory=PairedCounts)
    neutral: PairedCounts = field(default_factory=PairedCounts)
    invalid: int = 0
    references: Mapping[str, int] = field(default_factory=dict)
    reference_shots: int = 0
    missing: Mapping[str, str] = field(default_factory=dict)
    chunks: int = 0
    predict_seconds: float = 0.0
    cpu_seconds: float = 0.0
    decode_seconds: float = 0.0
    baseline_seconds: float = 0.0
    digests: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    lock: Lock | None = None
    sent: int | None = None
    gate_flops: int = 0
    plain_seconds: float = 0.0
    gate_seconds: float = 0.0
    neutral_seconds: float = 0.0
    reference_runs: Mapping[str, ReferenceRun] = field(default_factory=dict)
    passes: int | None = None
    bands: tuple[FailureBand, ...] = ()
    strata: Mapping[str, StrataTally] = field(default_factory=dict)

    def __add__(self, other: Scored) -> Scored:
        """The sum of both; `other`'s chunks come after these."""
        return Scored(
            counts=self.counts + other.counts,
            neutral=self.neutral + other.neutral,
            invalid=self.invalid + other.invalid,
            references=_summed(self.references, other.references),
            reference_shots=self.reference_shots + other.reference_shots,
            reference_runs=_joined(self.reference_runs, other.reference_runs),
            missing={**self.missing, **other.missing},
            chunks=self.chunks + other.chunks,
            predict_seconds=self.predict_seconds + other.predict_seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            decode_seconds=self.decode_seconds + other.decode_seconds,
            baseline_seconds=self.baseline_seconds + other.baseline_seconds,
            digests=self.digests + other.digests,
            failed=self.failed + other.failed,
            answers=self.answers + other.answers,
            lock=_weaker(self.lock, other.lock),
            sent=_together(self.sent, other.sent),
            gate_flops=self.gate_flops + other.gate_flops,
            passes=_together(self.passes, other.passes),
            plain_seconds=self.plain_seconds + other.plain_seconds,
            gate_seconds=self.gate_seconds + other.gate_seconds,
            neutral_seconds=self.neutral_seconds + other.neutral_seconds,
            bands=added(self.bands, other.bands),
            strata={
                name: mine + other.strata[name] if (mine := self.strata.get(name)) and name in other.strata else each
                for name, each in {**other.strata, **self.strata}.items()
            },
        )

    @property
    def us_per_shot(self) -> UsPerShot:
        """Microseconds of a shot, by what takes them."""
        parts = (self.plain_seconds, self.gate_seconds, self.predict_seconds, self.decode_seconds)
        return UsPerShot(*(round(self._per_shot(seconds), 2) for seconds in parts))

    def mean_flops(self, flops_per_sent_shot: int) -> int:
        """FLOPs of a shot, on average: all of a candidate's without a gate."""
        if self.sent is None:
            return flops_per_sent_shot
        passes = self.sent if self.passes is None else self.passes
        return mean_flops(flops_per_sent_shot, passes, self.counts.shots, self.gate_flops)

    @property
    def predict_us(self) -> float:
        """Microseconds of prediction per shot."""
        return self._per_shot(self.predict_seconds)

    @property
    def cpu_us(self) -> float:
        """Microseconds of the candidate's processor time per shot."""
        return self._per_shot(self.cpu_seconds)

    @property
    def decode_us(self) -> float:
        """Microseconds of decoding per shot."""
        return self._per_shot(self.decode_seconds)

    @property
    def baseline_us(self) -> float:
        """Microseconds of the baseline per shot."""
        return self._per_shot(self.baseline_seconds)

    @property
    def reference_us(self) -> dict[str, float]:
        """Microseconds of each reference per shot."""
        shots = max(1, self.reference_shots)
        return {name: round(1e6 * run.seconds / shots, 3) for name, run in self.reference_runs.items()}

    @property
    def neutral_us(self) -> float | None:
        """Microseconds of the decoder on uninformative beliefs per shot; None if it was not run."""
        return round(1e6 * self.neutral_seconds / self.neutral.shots, 3) if self.neutral.shots else None

    @property
    def gates(self) -> dict[str, GatedReference]:
        """What each of the references behind a gate was run on."""
        return {name: found for name in self.references if (found := self.gated(name)) is not None}

    def gated(self, name: str) -> GatedReference | None:
        """What a reference was run on behind its gate; None if it decoded every shot."""
        run = self.reference_runs.get(name)
        if run is None or run.gate is None:
            return None
        return behind_gate(self.reference_shots, run.gate.sent, run.gate.sampled, run.gate.differing)

    def _per_shot(self, seconds: float) -> float:
        return 1e6 * seconds / max(1, self.counts.shots)


def total(scores: Iterable[ChunkScore], *, references: bool = False) -> Scored:
    """The sum of chunk scores.

    Args:
        scores: In the order of the chunks.
        references: Whether the reference decoders ran on them.
    """
    return sum((_one(score, references) for score in scores), Scored())


def _one(score: ChunkScore, references: bool) -> Scored:
    return Scored(
        counts=score.counts,
        neutral=score.neutral or PairedCounts(),
        invalid=score.invalid,
        references=dict(score.references),
        reference_shots=score.counts.shots if references else 0,
        reference_runs=dict(score.reference_runs),
        chunks=1,
        predict_seconds=score.predict_seconds,
        cpu_seconds=score.cpu_seconds,
        decode_seconds=score.decode_seconds,
        baseline_seconds=score.baseline_seconds,
        digests=(score.digest,),
        failed=(score.failed,),
        answers=(score.answers,),
        lock=score.lock,
        sent=score.sent,
        gate_flops=score.gate_flops,
        passes=score.passes,
        plain_seconds=score.plain_seconds,
        gate_seconds=score.gate_seconds,
        neutral_seconds=score.neutral_seconds,
        bands=score.bands,
        strata=dict(score.strata),
    )


def _summed(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    counted = Counter(first)
    counted.update(second)
    return {name: counted[name] for name in sorted(counted)}


def _joined(first: Mapping[str, ReferenceRun], second: Mapping[str, ReferenceRun]) -> dict[str, ReferenceRun]:
    nothing = ReferenceRun(0.0)
    return {name: first.get(name, nothing) + second.get(name, nothing) for name in sorted({*first, *second})}


def _together(first: int | None, second: int | None) -> int | None:
    """The sum of two numbers, either of which may be missing."""
    return second if first is None else first if second is None else first + second


def _weaker(first: Lock | None, second: Lock | None) -> Lock | None:
    """The lock with fewer layers; the first if they are equal."""
    if first is None or second is None:
        return first if second is None else second
    return second if second.level < first.level else first
