"""The time a verification has: what each part of it took, and where its test was broken off because the time was spent.

A clock decides nothing but where a test stops that has not been decided. That place is noted, and a replay stops there too, by
its shots and without a clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from autoqec.results.verdict_parts import OutOfTime


class Spending:
    """What a verification has spent so far.

    Args:
        seconds: Its time budget; None for none.
        stop: Where the test of a verdict that is replayed was broken off; None for a new verdict or one that was not stopped.

    Attributes:
        out_of_time: Where a test was broken off; None if none was; no second one ever is.
    """

    def __init__(self, seconds: float | None, stop: OutOfTime | None = None):
        self._seconds, self._stop = seconds, stop
        self._began = time.monotonic()
        self._parts: dict[str, float] = {}
        self.out_of_time: OutOfTime | None = None

    @property
    def gone(self) -> bool:
        """Whether the budget is spent."""
        return self._seconds is not None and self.seconds >= self._seconds

    @property
    def seconds(self) -> float:
        """Wall clock so far."""
        return time.monotonic() - self._began

    @property
    def parts(self) -> dict[str, float]:
        """Wall clock of each part, in the order in which they began."""
        return {name: round(seconds, 2) for name, seconds in self._parts.items()}

    def stops(self, cell: str | None, shots: int) -> bool:
        """Whether a test that is undecided after so many shots is broken off here; if so, it is remembered.

        Args:
            cell: Which test: the cell's label, None for the target.
            shots: Of this test.
        """
        if self._stop is not None:
            if (cell, shots) == (self._stop.cell, self._stop.shots):
                self.out_of_time = self._stop
        elif self.gone:
            self.out_of_time = OutOfTime(cell, shots, self._seconds)
        return self.out_of_time is not None

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        began = time.monotonic()
        self._parts.setdefault(name, 0.0)
        try:
            yield
        finally:
            self._parts[name] += time.monotonic() - began
