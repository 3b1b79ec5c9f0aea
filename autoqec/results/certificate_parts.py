"""A verdict's distance certificate: its fault sets, weight by weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoqec.results.counts import PairedCounts
from autoqec.results.note_form import always, flat

Interval = tuple[float, float]


@dataclass(frozen=True)
class CertificateRow:
    """The fault sets of one weight.

    Attributes:
        weight: Faults in each.
        of: How many sets of this weight exist.
        how: Whether they were `listed` or `drawn`.
        counts: Paired counts of the examined sets.
        probability: Probability that exactly so many mechanisms fire.
        failing: Probabilities, of baseline and of candidate, that a shot is a set of this weight and fails.
        excess: The candidate's probability minus the baseline's.
        excess_ci: Its interval; a single point if the sets were listed.
    """

    weight: int
    of: int
    how: Literal["listed", "drawn"]
    counts: PairedCounts
    probability: float
    failing: tuple[float, float]
    excess: float
    excess_ci: Interval


@dataclass(frozen=True)
class Regression:
    """A fault set that only the candidate fails: its mechanisms, and the detectors and observables that they flip."""

    weight: int
    probability: float
    mechanisms: tuple[int, ...]
    detectors: tuple[int, ...]
    observables: tuple[int, ...]


@dataclass(frozen=True)
class FaultSets:
    """The examined fault sets of low weight.

    Attributes:
        rows: One for each weight.
        no_fault: The probability that nothing fires.
        regressions: Some of the sets that only the candidate fails, the likeliest first.
        break_even: The share of the target's error rates below which such sets would outweigh the gain.
    """

    rows: tuple[CertificateRow, ...]
    no_fault: float
    regressions: tuple[Regression, ...] = always(())
    break_even: float | None = always()


@dataclass(frozen=True)
class Certificate:
    """The distance certificate.

    Attributes:
        word: `kept`, `traded`, `regression`, or `not_enumerable`.
        distance: The code's, if it is known.
        found: How the distance was found, or why it is unknown.
        why: Why no sets were examined.
        sets: The examined sets.
    """

    word: str
    distance: int | None = always()
    found: str = always("")
    why: str | None = None
    sets: FaultSets | None = flat(None)

    @property
    def correctable(self) -> int | None:
        """Faults that a code of this distance can correct."""
        return None if self.distance is None else (self.distance - 1) // 2
