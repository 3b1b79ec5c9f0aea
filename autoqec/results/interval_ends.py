"""The ends of intervals, searched for or evaluated: a noted end is right if the evidence crosses its border there.

A search evaluates the evidence some hundred times for each interval, an evaluation four times. Readers of a history evaluate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from autoqec.results.statistics import (
    RATIO_RANGE,
    border_of,
    delta_interval,
    log_e_better,
    log_e_mean_above,
    log_e_worse,
    mirrored,
    ratio_interval,
)
from autoqec.results.stratified_counts import Counts

#: Tolerance between two computations of one number, relative and absolute.
CLOSE = 1e-9

#: Stands for the end of an interval that a noted end is not.
OTHER_END = "another end"


class Ends(Protocol):
    """Finds the ends of an interval that counts give; may look at the noted ends."""

    def delta(self, counts: Counts, noted: Sequence[float]) -> Sequence[Any]:
        """The interval of the difference of rates."""

    def ratio(self, counts: Counts, noted: Sequence[float | None]) -> Sequence[Any]:
        """The interval of the ratio of rates."""


class SearchedEnds:
    """Searches for the ends, as the writer of a note does."""

    def delta(self, counts: Counts, noted: Sequence[float]) -> Sequence[Any]:
        """The interval of the difference of rates."""
        return delta_interval(counts)

    def ratio(self, counts: Counts, noted: Sequence[float | None]) -> Sequence[Any]:
        """The interval of the ratio of rates."""
        return ratio_interval(counts)


class EvaluatedEnds:
    """Returns each noted end at which the evidence crosses its border, and `OTHER_END` in place of one at which it does not."""

    def delta(self, counts: Counts, noted: Sequence[float]) -> Sequence[Any]:
        """The interval of the difference of rates."""
        low, high = noted
        border = border_of()
        turned = mirrored(counts)
        lower = _crosses(lambda mean: log_e_mean_above(counts, mean) >= border, low, -1.0, 1.0, none=-1.0)
        upper = _crosses(lambda mean: log_e_mean_above(turned, mean) >= border, -high, -1.0, 1.0, none=-1.0)
        return (low if lower else OTHER_END, high if upper else OTHER_END)

    def ratio(self, counts: Counts, noted: Sequence[float | None]) -> Sequence[Any]:
        """The interval of the ratio of rates."""
        (low, high), border, (least, most) = noted, border_of(), RATIO_RANGE
        lower = _crosses(lambda ratio: log_e_worse(counts, ratio) >= border, low, least, most, none=0.0)
        upper = _crosses(lambda ratio: log_e_better(counts, ratio) >= border, high, most, least, none=None)
        return (low if lower else OTHER_END, high if upper else OTHER_END)


def _crosses(
    rejected: Callable[[float], bool], noted: float | None, first: float, last: float, *, none: float | None
) -> bool:
    """Whether values are rejected from `first` up to a noted end and not beyond it.

    Args:
        rejected: Whether the evidence rejects a value. It does so on one side of the border only.
        noted: The noted end.
        first, last: The ends of the range; values nearer to `first` are rejected first.
        none: What is noted if nothing is rejected.
    """
    if noted == none:
        return not rejected(first)
    least, most = min(first, last), max(first, last)
    if noted is None or not least <= noted <= most:
        return False
    step = max(CLOSE, CLOSE * abs(noted)) * (1 if last > first else -1)
    before, beyond = (min(most, max(least, value)) for value in (noted - step, noted + step))
    # Where all of the range is rejected, the border is its last value.
    return rejected(before) and (beyond == last or not rejected(beyond))


SEARCHED, EVALUATED = SearchedEnds(), EvaluatedEnds()
