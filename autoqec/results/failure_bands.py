"""Where a candidate fails: its failures and the plain decoder's, by how hard the shots are and where they lie. Plain Python.

A few bands of development shots, so that an idea can aim. They are for agents' prompts and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from autoqec.results.counts import PairedCounts
from autoqec.results.note_form import always

#: What shots are banded by: how many detectors fire, where these lie, and the plain decoder's confidence by the name of its
#: kind. `TIME` is the mean of their times, `OFF_CENTRE` the mean of their distances in space from the middle of all detectors,
#: both in the circuit's own units.
FIRED, TIME, OFF_CENTRE = "fired_detectors", "mean_time", "mean_distance_from_centre"


@dataclass(frozen=True)
class FailureBand:
    """The shots of a band and who failed them.

    Attributes:
        by: What shots are banded by: `FIRED`, `TIME`, `OFF_CENTRE`, or the kind of the decoder's confidence, such as `gap`.
        up_to: The upper end of the band, which belongs to it; the lower end is that of the band before. None: no upper end.
        shots: How many shots.
        baseline, candidate: Failures of the plain decoder and of the candidate.
    """

    by: str
    up_to: float | None = always()
    shots: int = 0
    baseline: int = 0
    candidate: int = 0

    def __add__(self, other: FailureBand) -> FailureBand:
        """The sum of the counts; the two are one band."""
        counts = self.shots + other.shots, self.baseline + other.baseline, self.candidate + other.candidate
        return FailureBand(self.by, self.up_to, *counts)


def added(first: Sequence[FailureBand], second: Sequence[FailureBand]) -> tuple[FailureBand, ...]:
    """The bands of two sets of shots together; of none and of some: these."""
    if not (first and second):
        return tuple(first or second)
    return tuple(a + b for a, b in zip(first, second, strict=True))


def bands_of(bands: Iterable[FailureBand], counts: PairedCounts | None) -> tuple[FailureBand, ...]:
    """The bands of a note that add up to its counts: each kind has every shot once. Others are left out."""
    if counts is None:
        return ()
    whole = counts.shots, counts.both + counts.baseline_only, counts.both + counts.candidate_only
    found: list[FailureBand] = []
    for _, group in groupby(bands, key=lambda band: band.by):
        kind = list(group)
        if tuple(map(sum, zip(*((each.shots, each.baseline, each.candidate) for each in kind), strict=True))) == whole:
            found += kind
    return tuple(found)
