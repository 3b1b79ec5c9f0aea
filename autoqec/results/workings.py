"""The numbers behind a verdict's figures, so that you can check each formula by hand."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.results.bets import BETS
from autoqec.results.statistics import PLANNED_ATTEMPTS, attempt_share, best_bet
from autoqec.results.verdict_parts import Attempt, Tested


@dataclass(frozen=True)
class LevelWorkings:
    """The terms of an attempt's level.

    Attributes:
        parts: The attempt's share is one part in so many of the run's error budget.
        earned: The factor on that share: one plus the number of VERIFIED rounds before.
        planned: How many attempts share half of the budget.
    """

    parts: float
    earned: int
    planned: int = PLANNED_ATTEMPTS


def level_workings(attempt: Attempt) -> LevelWorkings | None:
    """The terms of an attempt's level; None for an impossible attempt number."""
    if attempt.attempt < 1:
        return None
    return LevelWorkings(1 / attempt_share(attempt.attempt), attempt.verified_before + 1)


@dataclass(frozen=True)
class EvidenceWorkings:
    """The largest term of a test's evidence.

    Attributes:
        bet: The bet with the largest term.
        log_e: The natural logarithm of that term.
        bets: How many bets there are.
    """

    bet: float
    log_e: float
    bets: int = len(BETS)


def evidence_workings(tested: Tested) -> EvidenceWorkings:
    """The largest term of a test's evidence."""
    return EvidenceWorkings(*best_bet(tested.test_counts))
