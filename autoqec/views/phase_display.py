"""Shows the phase of a command on standard error: on a terminal one line that changes, elsewhere lines of a log.

All displays draw through this one. What is drawn is erased before anything else is printed (`console.erased_for_output`), so no
result ever stands behind it. A terminal that cannot move its cursor, and one of a continuous integration, get the lines of a log.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from autoqec.counted_words import counted
from autoqec.phases import Phase, duration
from autoqec.views.console import erased_for_output, err, plain, say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

#: Seconds after which a phase that goes on gets another line in a log; less for one that is a quarter further.
_LONG, _SHORT = 60.0, 5.0

#: A phase that was shorter ends without a line.
_TOLD = 1.0

#: In a terminal this wide, what was done is drawn as a bar too.
_WIDE, _BAR = 100, 20

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def draws(console: Console) -> bool:
    """Whether a line can be drawn and changed on a console: not in a file, on a dumb terminal, or in continuous integration."""
    return console.is_terminal and console.is_interactive and os.environ.get("CI", "").lower() in ("", "0", "false")


class PhaseDisplay:
    """Shows one phase at a time; use as a context manager.

    Args:
        quiet: Show nothing but what `say` is given.
        clock: The time in seconds.

    Attributes:
        animated: Whether what is drawn moves between two reports, by a thread of its own.
    """

    animated = True

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic):
        self.clock, self._quiet = clock, quiet
        self._console = err()
        self._draws = not quiet and draws(self._console)
        self.phase: Phase | None = None
        self._live: Live | None = None
        self._told, self._quarter = 0.0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.show(None)
        self.stop()

    def stop(self) -> None:
        """Show nothing any more, of a phase that was broken off; it can be shown again."""
        self.phase = None
        self._erase()

    def begin(
        self, title: str, *, total: int | None = None, open_ended: bool = False, seconds_at_most: float | None = None
    ) -> Phase:
        """Begin a phase; see the attributes of `Phase`."""
        phase = Phase(title, self.clock(), total=total, open_ended=open_ended, seconds_at_most=seconds_at_most)
        self.show(phase)
        return phase

    def at(
        self, title: str, *, total: int | None = None, open_ended: bool = False, seconds_at_most: float | None = None
    ) -> Phase:
        """The phase with a title, begun if another one was at work."""
        if self.phase is not None and self.phase.title == title:
            return self.phase
        return self.begin(title, total=total, open_ended=open_ended, seconds_at_most=seconds_at_most)

    def show(self, phase: Phase | None) -> None:
        """Show a phase where it stands now; None if nothing is done."""
        another = phase is not self.phase
        if another:
            self._end()
            self.phase = phase
            if phase is None:
                self._erase()
            elif not (self._quiet or self._draws):
                limits = phase.limits()
                self._line(f"{phase.title}, {limits}" if limits else phase.title)
                self._quarter = 0
        if phase is not None and self._draws:
            self._draw(at_once=another or not self.animated)
        elif phase is not None and not self._quiet:
            self._go_on(phase)

    def say(self, text: str) -> None:
        """Print a line that stays, unless all shall be quiet."""
        if not self._quiet:
            self._put(text)

    def _put(self, text: str) -> None:
        """Print a line of this display. A terminal gets it broken between words: it holds no command to copy."""
        say(text, fitted=self._draws)

    def _go_on(self, phase: Phase) -> None:
        """A further line of a log where a phase is long, or has done another quarter."""
        since = self.clock() - self._told
        quarter = 4 * phase.done // phase.total if phase.total else 0
        if since >= _LONG or (quarter > self._quarter and since >= _SHORT and not phase.open_ended):
            self._quarter = max(quarter, self._quarter)
            parts = [text for _, text in parts_of(phase, self.clock())]
            self._line(": ".join((phase.title, ", ".join(parts))) if parts else f"{phase.title} goes on")

    def _line(self, text: str) -> None:
        self._told = self.clock()
        self._put(text)

    def _end(self) -> None:
        """Say what the phase took, where that is worth a line."""
        phase = self.phase
        if phase is None or self._quiet or self._draws:
            return
        took = self.clock() - phase.began
        if took >= _TOLD:
            self._put(f"{phase.title}: {phase.outcome} in {duration(took)}")

    def _draw(self, *, at_once: bool) -> None:
        if self._live is None:
            from rich.live import Live

            self._live = Live(
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                auto_refresh=self.animated,
                refresh_per_second=8,
                get_renderable=self._drawn,
            )
            self._live.start()
            erased_for_output(self._erase)
            at_once = True
        if at_once:
            self._live.refresh()

    def _drawn(self) -> Text:
        now, phase = self.clock(), self.phase
        if phase is None:
            return plain("")
        return plain(fitted(phase, now, max(1, self._console.width - 1)))

    def _erase(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            erased_for_output(None)


def parts_of(phase: Phase, now: float) -> list[tuple[int, str]]:
    """What there is to say of a phase, with how soon it is left out in a narrow terminal: the largest number first."""
    rate, left = phase.rate, phase.time_left(now)
    parts = []
    if phase.total and not phase.open_ended:
        parts.append((1, f"{min(99, 100 * phase.done // phase.total) if phase.done < phase.total else 100} %"))
    elif phase.done:
        parts.append((1, f"{phase.done:,} {phase.unit}"))
    if phase.note:
        parts.append((4, phase.note))
    if phase.workers is not None:
        parts.append((4, counted(phase.workers, "worker")))
    if rate is not None:
        made = phase.unit if phase.made is None else "shots"
        parts.append((3, f"{rate:,.0f} {made}/s" if rate >= 10 else f"{rate:.2g} {made}/s"))
    if left is not None:
        parts.append((2, left.in_words()))
    return parts


def fitted(phase: Phase, now: float, width: int) -> str:
    """A phase as one line of at most `width` characters: what matters least is left out first."""
    parts = [*parts_of(phase, now), (5, duration_so_far(now - phase.began))]
    spinner = _SPINNER[int(now * 8) % len(_SPINNER)]
    if width >= _WIDE and phase.total and not phase.open_ended:
        filled = min(_BAR, _BAR * phase.done // phase.total)
        parts.insert(0, (6, "━" * filled + "╌" * (_BAR - filled)))
    while True:
        line = f"{spinner} {phase.title}"
        if parts:
            line += ": " + ", ".join(text for _, text in parts)
        if len(line) <= width or not parts:
            return line if len(line) <= width else f"{line[: width - 1]}…"
        parts.remove(max(parts))


def duration_so_far(seconds: float) -> str:
    """A running clock, such as `0:42`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
