"""Which gain a number of shots can show at a logical error rate, by the test that verdicts use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import log
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import attempt_alpha, log_e_better, look_alpha, mcnemar_p

#: On how many shots a typical predecoder and the baseline differ, for each shot on which the baseline fails: 0.68 for correlated
#: matching at `surface_d5_depol` (609 of 65,536 shots, where plain matching failed on 893).
DIFFERING = 2 / 3

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
        ratio: For a candidate that differs from the baseline on two shots for every three on which the baseline fails, or on
            more if its ratio asks for it; None if no ratio can be shown.
        ratio_at_best: For one that makes no new failure.
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

    def largest(differing: float) -> float | None:
        low, high = 0.0, 1.0
        if not _shown(low, differing, ler, verdict_shots, level):
            return None
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if _shown(middle, differing, ler, verdict_shots, level) else (low, middle)
        return low

    return ResolvableGain(verdict_shots, level, ler, not failures, largest(DIFFERING), largest(0.0))


def _shown(ratio: float, differing: float, ler: float, shots: int, level: float) -> bool:
    failures = round(shots * ler)
    fewer = (1 - ratio) * failures
    both_ways = max(differing * failures, fewer)  # none can be fewer by more than it differs
    corrected = min(failures, round((both_ways + fewer) / 2))
    made = min(shots - failures, round((both_ways - fewer) / 2))
    return log_e_better(PairedCounts(shots, failures - corrected, corrected, made)) >= log(1 / level)


def least_gain(shots: int, ler: float, alpha: float, look: int, *, at_best: bool = False) -> float | None:
    """The ratio of rates that a finite holdout shows to be better than one about half of the time; nearer to one it seldom does.

    Args:
        shots: Of the holdout.
        ler: The baseline's rate.
        alpha: The environment's error budget.
        look: The number of the look.
        at_best: Whether the candidate makes no new failure; else the two fail `DIFFERING` times as many shots alone as the
            baseline fails.

    Returns:
        The ratio; None if none can be shown.
    """
    failures, level = round(shots * ler), look_alpha(alpha, look)

    def shown(fewer: int) -> bool:
        unequal = fewer if at_best else max(fewer, round(DIFFERING * failures))
        own = -(-(unequal - fewer) // 2)
        return mcnemar_p(PairedCounts(shots, 0, unequal - own, own)) <= level

    low, high = 0, failures
    if not failures or not shown(high):
        return None
    while high - low > 1:  # more that are fewer are shown too
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return 1 - high / failures
