"""What a verdict notes of a holdout that is finite: recorded shots, which every look at them uses up a little."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import rate_interval


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
