"""What a check of an environment counts about its own decoders: failures on the same shots, and the time of a shot."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import mcnemar_p, rate_interval

#: Level at which a reference is said to be worse than the baseline on the same shots; their number is fixed in advance.
WORSE_ALPHA = 0.01


@dataclass(frozen=True)
class ShotTime:
    """Processor time of a shot, in microseconds, over batches of shots.

    Attributes:
        mean: Of all shots.
        low, high: Quartiles of the batches' means.
        batches: How many there were, without those that are smaller than half of the largest, as the first ones are.
    """

    mean: float
    low: float
    high: float
    batches: int

    def to_row(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        return {
            "us_per_shot": round(self.mean, 3),
            "us_per_shot_quartiles": [round(self.low, 3), round(self.high, 3)],
            "batches": self.batches,
        }


@dataclass
class MeasuredDecoder:
    """A decoder while it is measured, and what came of it.

    Attributes:
        label: Its label.
        counts: Its failures as those of the candidate, beside the environment's own decoder, on the shots that both decoded.
        batches: Shots of each batch, and its processor seconds.
    """

    label: str
    counts: PairedCounts = field(default_factory=PairedCounts)
    batches: list[tuple[int, float]] = field(default_factory=list)

    @property
    def shots(self) -> int:
        """Shots that it decoded."""
        return self.counts.shots

    @property
    def failures(self) -> int:
        """Shots on which it failed."""
        return self.counts.candidate_failures

    @property
    def seconds(self) -> float:
        """Processor time of all its shots."""
        return sum(seconds for _, seconds in self.batches)

    @property
    def is_worse(self) -> bool:
        """Whether it fails more often than the environment's own decoder: exact McNemar test on the same shots."""
        c = self.counts
        return mcnemar_p(PairedCounts(c.shots, c.both, c.candidate_only, c.baseline_only)) < WORSE_ALPHA

    @property
    def time(self) -> ShotTime | None:
        """The time of a shot; None if it decoded none."""
        if not self.shots:
            return None
        most = max(shots for shots, _ in self.batches)
        each = [1e6 * seconds / shots for shots, seconds in self.batches if 2 * shots >= most]
        low, _, high = quantiles(each, n=4, method="inclusive") if len(each) > 1 else (each[0],) * 3
        return ShotTime(1e6 * self.seconds / self.shots, low, high, len(each))

    def to_row(self) -> dict[str, Any]:
        """As a JSON-able mapping; None and no interval for a decoder without shots."""
        time = self.time
        rate = self.failures / self.shots if self.shots else None
        return {
            "ler": rate,
            "ler_ci": list(rate_interval(self.failures, self.shots)) if self.shots else None,
            "shots": self.shots,
            "failures": self.failures,
            "same_shots": self.counts.to_dict(),
            "worse": self.is_worse,
            **(time.to_row() if time is not None else {}),
        }
