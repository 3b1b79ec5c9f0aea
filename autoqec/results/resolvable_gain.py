"""Which gain a number of shots can show at a logical error rate, by the test that verdicts use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import log
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import attempt_alpha, log_e_better

#: How many new failures a predecoder that is taken as typical makes for each one that it corrects.
_TYPICAL_BREAKS = 0.5

#: Halvings of the interval in which the largest ratio is sought.
_STEPS = 30


@dataclass(frozen=True)
class ResolvableGain:
    """The largest ratio of logical error rates, candidate to baseline, that the shots of a verdict can show to be below one.

    Expected counts are put in the place of counts, so about half of the verdicts at such a ratio need more shots.

    Attributes:
        shots: Of the verdict, at most.
        level: Of the first verification of a run.
        ler: The baseline's rate that this is about.
        at_most: Whether that rate is the upper end of its interval, because no shot failed.
        ratio: If the candidate makes one new failure for every two that it corrects; None if no ratio can be shown.
        ratio_at_best: If it makes none.
    """

    shots: int
    level: float
    ler: float
    at_most: bool
    ratio: float | None
    ratio_at_best: float | None

    def to_row(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        return asdict(self)


def resolvable_gain(failures: int, shots: int, upper: float, verdict_shots: int, alpha: float) -> ResolvableGain:
    """Which gain a verdict can show.

    Args:
        failures, shots: Of the baseline, as measured.
        upper: The upper end of its rate, used where nothing failed.
        verdict_shots: The most shots of a verdict.
        alpha: Error budget of a run.
    """
    ler, level = failures / shots if failures else upper, attempt_alpha(alpha, 1)

    def largest(breaks: float) -> float | None:
        # A candidate that corrects every failure makes breaks * failures new ones: its ratio is `breaks`, and none is below.
        low, high = breaks, 1.0
        if not _shown(low, breaks, ler, verdict_shots, level):
            return None
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if _shown(middle, breaks, ler, verdict_shots, level) else (low, middle)
        return low

    return ResolvableGain(verdict_shots, level, ler, not failures, largest(_TYPICAL_BREAKS), largest(0.0))


def _shown(ratio: float, breaks: float, ler: float, shots: int, level: float) -> bool:
    failures = round(shots * ler)
    corrected = min(failures, round((1 - ratio) / (1 - breaks) * failures)) if breaks < 1 else failures
    counts = PairedCounts(shots, failures - corrected, corrected, min(round(breaks * corrected), shots - failures))
    return log_e_better(counts) >= log(1 / level)
