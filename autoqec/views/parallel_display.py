"""Shows rounds at once on standard error: on a terminal a line for each, elsewhere lines of a log that name their round."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from autoqec.round_events import RoundEvent
from autoqec.views.console import plain
from autoqec.views.phase_display import PhaseDisplay, fitted
from autoqec.views.progress import RoundDisplay

if TYPE_CHECKING:
    from rich.text import Text

#: The narrowest room for what a round does, behind its name.
_NARROWEST = 20


class ParallelDisplay(PhaseDisplay):
    """Shows the phases of several rounds; use as a context manager.

    Args:
        places: How many rounds at once.
        quiet: Show nothing but what must not be missed.
        clock: The time in seconds.
    """

    def __init__(self, places: int, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic):
        super().__init__(quiet=quiet, clock=clock)
        self._lanes = [_Lane(self, quiet=quiet, clock=clock) for _ in range(places)]

    def event(self, place: int, event: RoundEvent) -> None:
        """Show one event of the round at a place."""
        lane = self._lanes[place]
        if event["event"] == "round":
            lane.name = f"{event['run']}/{event['round']}"
        lane.event(event)

    def over(self, place: int) -> None:
        """Show nothing of the round at a place any more."""
        self._lanes[place].show(None)
        self._lanes[place].name = ""

    def stop(self) -> None:
        """Show nothing any more."""
        for lane in self._lanes:
            lane.phase, lane.name = None, ""
        super().stop()

    def redraw(self, *, at_once: bool) -> None:
        """Draw what changed."""
        if any(lane.phase is not None for lane in self._lanes):
            self._draw(at_once=at_once)
        else:
            self._erase()

    def _drawn(self) -> Text:
        now, width = self.clock(), max(1, self._console.width - 1)
        shown = [lane for lane in self._lanes if lane.phase is not None]
        names = max((len(lane.name) for lane in shown), default=0)
        names = min(names, max(0, width - _NARROWEST - 1))
        lines = [
            f"{lane.name[:names]:{names}} {fitted(lane.phase, now, max(1, width - names - 1))}"
            for lane in shown
            if lane.phase is not None
        ]
        return plain("\n").join(map(plain, lines))


class _Lane(RoundDisplay):
    """One round among several."""

    def __init__(self, board: ParallelDisplay, *, quiet: bool, clock: Callable[[], float]):
        super().__init__(quiet=quiet, clock=clock)
        self._board, self.name = board, ""

    def _put(self, text: str) -> None:
        """A line that names its round, once."""
        super()._put(text if self.name in text else f"{self.name}: {text}")

    def _draw(self, *, at_once: bool) -> None:
        self._board.redraw(at_once=at_once)

    def _erase(self) -> None:
        self._board.redraw(at_once=True)
