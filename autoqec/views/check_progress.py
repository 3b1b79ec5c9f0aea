"""Shows how far a check of an environment is, on standard error: a line that changes, or on no terminal a line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from autoqec.views.console import erased_for_output, err, plain, say

if TYPE_CHECKING:
    from rich.status import Status

#: Seconds between two lines where there is no terminal.
_EVERY = 10.0


class CheckProgress:
    """Shows what is done; use as a context manager.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False):
        self._quiet = quiet
        self._status: Status | None = None
        self._last, self._label = 0.0, ""

    def __enter__(self) -> CheckProgress:
        console = err()
        if console.is_terminal and not self._quiet:
            self._status = console.status("")
            self._status.start()
            erased_for_output(self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
            erased_for_output(None)

    def say(self, text: str) -> None:
        """What is done now."""
        if self._quiet:
            return
        if self._status is not None:
            self._status.update(plain(text))
        else:
            say(text)
        self._last = time.monotonic()

    def shots(self, label: str, done: int, total: int) -> None:
        """How many of how many shots a decoder has decoded."""
        text = f"{label}: {done:,} of {total:,} shots"
        if self._status is not None:
            self._status.update(plain(text))
        elif label not in self._label.split("\n") or time.monotonic() - self._last >= _EVERY:
            self._label += f"{label}\n"
            self.say(text)
