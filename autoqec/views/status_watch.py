"""Shows the open rounds of a lab again and again: redrawn on a terminal, elsewhere a line for each change."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.live import Live
from rich.text import Text

from autoqec.history.reading.open_rounds import OpenRound, OpenRounds
from autoqec.views.console import plain_line, print_json, print_lines
from autoqec.views.fitted_console import FittedConsole
from autoqec.views.status_text import (
    NOTHING,
    changes,
    details,
    ended_line,
    ended_row,
    headline,
    how_to_continue,
    status_row,
)


class Redrawn:
    """Draws all open rounds in one place of a terminal; a line that is too long is cut."""

    def __init__(self, console: FittedConsole):
        self._console = console
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, rounds: Sequence[OpenRound], _: OpenRounds) -> None:
        """Draw the rounds as they stand."""
        now = time.time()
        lines = []
        for found in rounds:
            command = how_to_continue(found)
            lines += [headline(found, now), f"  {details(found, now)}", *([f"  {command}"] if command else [])]
        text = Text("\n").join(self._cut(line) for line in lines or [NOTHING])
        self._live.update(text, refresh=True)

    def _cut(self, line: str) -> Text:
        text = plain_line(line)
        text.truncate(max(1, self._console.width - 1), overflow="ellipsis")
        return text


class Told:
    """Prints a line, or an object, for each change of state or phase."""

    def __init__(self, *, as_json: bool):
        self._as_json = as_json
        self._before: Sequence[OpenRound] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to do."""

    def show(self, rounds: Sequence[OpenRound], source: OpenRounds) -> None:
        """Print what changed since the last time."""
        now, before = time.time(), self._before or ()
        open_now = {found.claim.ref for found in rounds}
        closed = {claim.ref: claim for claim in source.claims() if claim.state != "open"}
        ended = [
            closed[found.claim.ref] for found in before if found.claim.ref in closed and found.claim.ref not in open_now
        ]
        changed = changes(before, rounds)
        if self._as_json:
            print_json([*map(ended_row, ended), *(status_row(found, now) for found in changed)])
        else:
            print_lines(
                [
                    plain_line(line).plain
                    for line in (*map(ended_line, ended), *(headline(found, now) for found in changed))
                ]
            )
            if self._before is None and not rounds:
                print_lines([NOTHING])
        self._before = rounds
