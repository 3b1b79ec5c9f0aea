"""What a verdict notes of a holdout that is finite: recorded shots, which every look at them uses up a little."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import look_alpha, mcnemar_p, rate_interval


@dataclass(frozen=True)
class FiniteHoldout:
    """The exact intervals of a test on a number of shots that was fixed before anybody looked, at 95 %.

    Attributes:
        ler_baseline_ci, ler_candidate_ci: Of the two logical error rates (Clopper and Pearson 1934).
        share_ci: Of the candidate's share of the shots that exactly one side fails; below 1/2 where it is better. None if
            there is no such shot.
    """

    ler_baseline_ci: tuple[float, float]
    ler_candidate_ci: tuple[float, float]
    share_ci: tuple[float, float] | None

    @staticmethod
    def of(counts: PairedCounts) -> FiniteHoldout:
        """The intervals of some counts."""
        unequal = counts.baseline_only + counts.candidate_only
        return FiniteHoldout(
            rate_interval(counts.baseline_failures, counts.shots),
            rate_interval(counts.candidate_failures, counts.shots),
            rate_interval(counts.candidate_only, unequal) if unequal else None,
        )


#: Two decoders that are alike fail the same shots; about so many of the baseline's failures are of shots that one alone fails.
UNEQUAL = 0.5


def least_gain(shots: int, ler: float, alpha: float, look: int) -> float | None:
    """The ratio of rates that a finite holdout shows to be better than one about half of the time; nearer to one it seldom does.

    Args:
        shots: Of the holdout.
        ler: The baseline's rate.
        alpha: The environment's error budget.
        look: The number of the look.

    Returns:
        The ratio, if the two fail `UNEQUAL` times as many shots alone as the baseline fails; None if no ratio can be shown.
    """
    failures = round(shots * ler)
    unequal, level = round(UNEQUAL * failures), look_alpha(alpha, look)
    passing = [own for own in range(unequal // 2 + 1) if mcnemar_p(PairedCounts(shots, 0, unequal - own, own)) <= level]
    return 1 - (unequal - 2 * passing[-1]) / failures if passing else None
