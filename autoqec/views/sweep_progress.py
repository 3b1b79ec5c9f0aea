"""Shows the progress of a sweep on standard error: a line for each point that is over, and what is counted now."""

from __future__ import annotations

import time
from collections.abc import Callable

from autoqec.results.sweep_records import SweepProgress
from autoqec.views.console import say
from autoqec.views.phase_display import PhaseDisplay

_COUNTING = "counting"

_ENDED = {
    "relative_error": "",
    "max_errors": ", limit of failures",
    "max_shots": ", limit of shots",
    "max_seconds": ", limit of seconds",
    "unfinished": "",
}


class SweepDisplay(PhaseDisplay):
    """Shows events; use as a context manager and hand `event` to the sweep.

    Args:
        quiet: Show nothing.
        clock: The time in seconds.
    """

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(quiet=quiet, clock=clock)
        self._over: set[tuple[str, str]] = set()

    def event(self, event: SweepProgress) -> None:
        """Show one event."""
        if event.message:
            say(event.message)
            return
        # Workers count at several points in turn, so these are one phase, whose title says where they are now.
        phase = self.phase or self.begin(_COUNTING)
        if event.problem or event.ended != "unfinished":
            phase.title, phase.note = _COUNTING, ""
            point = (event.decoder, event.place)
            if point not in self._over:
                self._over.add(point)
                self.say(_line(event))
        else:
            phase.title, phase.note = _where(event), _counts(event)
            self.show(phase)


def _line(event: SweepProgress) -> str:
    """How a point ended, such as `3/16 mwpm, distance = 5, p = 0.003: 100 of 14,100 shots failed`."""
    ended = f"left out: {event.problem}" if event.problem else f"{_counts(event)}{_ENDED[event.ended]}"
    return f"{_where(event)}: {ended}"


def _where(event: SweepProgress) -> str:
    return f"{event.done}/{event.total} {event.decoder}, {event.place}"


def _counts(event: SweepProgress) -> str:
    return f"{event.errors:,} of {event.shots:,} shots failed" if event.shots else "compiling"
