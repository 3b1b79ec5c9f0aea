"""The numbers behind a verdict's figures, for whoever checks them by hand: what is put into which formula."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.results.statistics import BETS, PLANNED_ATTEMPTS, attempt_share, best_bet
from autoqec.results.verdict_parts import Attempt, Tested


@dataclass(frozen=True)
class LevelWorkings:
    """How an attempt comes by its level.

    Attributes:
        parts: The run's error budget is shared in so many parts, of which this attempt has one.
        earned: Times that it has it: the VERIFIED rounds before, and one.
        planned: Attempts that share half of the budget.
    """

    parts: float
    earned: int
    planned: int = PLANNED_ATTEMPTS


def level_workings(attempt: Attempt) -> LevelWorkings | None:
    """How an attempt comes by its level; None for a number that no attempt has."""
    if attempt.attempt < 1:
        return None
    return LevelWorkings(1 / attempt_share(attempt.attempt), attempt.verified_before + 1)


@dataclass(frozen=True)
class EvidenceWorkings:
    """How a test comes by its evidence.

    Attributes:
        bet: The bet with the largest term.
        log_e: Its logarithm.
        bets: How many there are.
    """

    bet: float
    log_e: float
    bets: int = len(BETS)


def evidence_workings(tested: Tested) -> EvidenceWorkings:
    """How a test comes by its evidence."""
    return EvidenceWorkings(*best_bet(tested.test))
