"""Shows the progress of a sweep on standard error: a line for each point that is over, and on a terminal what is counted now."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.live import Live
from rich.text import Text

from autoqec.results.sweep_records import SweepProgress
from autoqec.views.console import erased_for_output, err, plain, say

#: Seconds between two lines about one point that takes long, where there is no terminal.
_LINE_SECONDS = 30.0

_ENDED = {
    "relative_error": "",
    "max_errors": ", limit of failures",
    "max_shots": ", limit of shots",
    "max_seconds": ", limit of seconds",
    "unfinished": ", not done",
}


class SweepDisplay:
    """Shows events; use as a context manager and hand `show` to the sweep.

    Args:
        quiet: Show nothing.
        clock: The time in seconds.
    """

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = err()
        self._quiet = quiet
        self._drawing = self._console.is_terminal and not quiet
        self._clock = clock
        self._told = clock()
        self._over: set[tuple[str, str]] = set()
        self._live: Live | None = None

    def __enter__(self) -> SweepDisplay:
        if self._drawing:
            erased_for_output(self._erase)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawing:
            self._erase()
            erased_for_output(None)

    def _erase(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, event: SweepProgress) -> None:
        """Show one event."""
        if event.message:
            say(event.message)
            return
        if self._quiet:
            return
        point = (event.decoder, event.place)
        if event.problem or event.ended != "unfinished":
            if point not in self._over:
                self._over.add(point)
                self._tell(_line(event))
        elif self._drawing:
            self._draw(_line(event))
        elif event.shots and self._clock() >= self._told + _LINE_SECONDS:
            self._tell(_line(event))

    def _tell(self, line: str) -> None:
        self._told = self._clock()
        say(line, fitted=True)

    def _draw(self, line: str) -> None:
        if self._live is None:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        text: Text = plain(line)
        text.truncate(self._console.width - 1, overflow="ellipsis")
        self._live.update(text, refresh=True)


def _line(event: SweepProgress) -> str:
    """How far a point is, such as `3/16 mwpm, distance = 5, p = 0.003: 100 of 14,100 shots failed`."""
    where = f"{event.done}/{event.total} {event.decoder}, {event.place}: "
    if event.problem:
        return f"{where}left out: {event.problem}"
    if not event.shots:
        return f"{where}compiling"
    return f"{where}{event.errors:,} of {event.shots:,} shots failed{_ENDED[event.ended]}"
