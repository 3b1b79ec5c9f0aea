"""The numbers behind a verdict's figures, so that you can check each formula by hand."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.results.bets import BETS
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import PLANNED_ATTEMPTS, attempt_share, best_bet
from autoqec.results.strata_parts import ByStrata, StrataSample
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


@dataclass(frozen=True)
class StratumWorkings:
    """What one stratum adds to the rates.

    Attributes:
        faults: Mechanisms that fire.
        probability: That exactly so many fire.
        listed: Whether all its sets were scored.
        counts: Of its shots, without weights.
        plain, candidate: What it adds to the rate of each side.
    """

    faults: int
    probability: float
    listed: bool
    counts: PairedCounts
    plain: float
    candidate: float


@dataclass(frozen=True)
class StrataWorkings:
    """The counts of a test by strata.

    Attributes:
        tested: Sets that were listed for the test, and shots that were drawn.
        behind: The same for the figures.
        rows: What each stratum adds to the figures; those of which no shot was drawn are left out.
        terms: See `evidence_workings`.
    """

    tested: tuple[int, int]
    behind: tuple[int, int]
    rows: tuple[StratumWorkings, ...]
    terms: EvidenceWorkings


def strata_workings(tested: Tested, strata: ByStrata) -> StrataWorkings | str:
    """The counts of a test by strata, or why they cannot be; anyone who can push can write a note."""
    try:
        sample = strata.extension or strata.test
        behind = strata.counts(sample)
        rows = [StratumWorkings(e.faults, e.probability, True, e.counts, *e.failing) for e in behind.listed]
        for place, faults in enumerate(behind.drawn.faults):
            counts, added = behind.part(place)
            if counts.shots:
                rows.append(StratumWorkings(faults, behind.drawn.probabilities[place], False, counts, *added))
        return StrataWorkings(_shots(strata.test), _shots(sample), tuple(rows), evidence_workings(tested))
    except (ArithmeticError, ValueError) as error:
        return str(error)


def _shots(sample: StrataSample) -> tuple[int, int]:
    return sum(each.counts.shots for each in sample.listed), sum(phase.shots for phase in sample.phases)
