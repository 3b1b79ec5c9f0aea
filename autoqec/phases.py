"""What a command does now: one phase at a time, how far it is, how fast, and how long it can still take.

Displays draw a phase, and `autoqec status` reads one that another process wrote down. A phase has its own clock and counts what
is done from its first report on: time that was spent before, on loading or compiling, makes no rate slower.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Seconds over which a rate is measured at least before it says how long the rest takes.
_MEASURED = 0.5


@dataclass(frozen=True)
class TimeLeft:
    """How long a phase can still take.

    Attributes:
        seconds: The time.
        at_most: Whether it may be over sooner: the phase stops once it knows enough, or only its limit is known.
    """

    seconds: float
    at_most: bool

    def in_words(self) -> str:
        """Such as `about 40 s left`."""
        return f"{'at most' if self.at_most else 'about'} {duration(self.seconds)} left"


@dataclass
class Phase:
    """A phase of a command.

    Attributes:
        title: What is done, in words.
        began: When it began, by the clock of whoever made it, in seconds.
        unit: What is counted.
        total: How much there is to do; None if that is not known, or nothing is counted.
        open_ended: Whether it may stop before all is done, as a sequential test does.
        seconds_at_most: The limit of its time; None if it has none.
        done: How much is done.
        made: What the rate counts, where that is not what is `done`: shots of training steps.
        note: More in words, such as a loss.
        outcome: What is said of it when another phase begins.
        workers: How many workers elsewhere do it; None if it is done here.
    """

    title: str
    began: float
    unit: str = "shots"
    total: int | None = None
    open_ended: bool = False
    seconds_at_most: float | None = None
    done: int = 0
    made: int | None = None
    note: str = ""
    outcome: str = "done"
    workers: int | None = None
    _from: tuple[float, int, int] | None = field(default=None, repr=False)
    _at: float = field(default=0.0, repr=False)

    def advance(
        self, now: float, done: int, total: int | None = None, *, made: int | None = None, note: str = ""
    ) -> None:
        """Note how far the phase is.

        Args:
            now: The time by the same clock as `began`.
            done: How much is done of the whole phase.
            total: How much there is; as before if None.
            made: See the attribute.
            note: See the attribute.
        """
        counted = done if made is None else made
        if self._from is None or done < self.done:  # a part that starts again has a rate of its own
            self._from = (now, done, counted)
        self._at, self.done, self.made, self.note = now, done, made, note
        self.total = self.total if total is None else total

    @property
    def rate(self) -> float | None:
        """What is made in a second, from the phase's first report to its last; None before that can be told."""
        if self._from is None:
            return None
        began, _, before = self._from
        made = (self.done if self.made is None else self.made) - before
        return made / (self._at - began) if made > 0 and self._at - began >= _MEASURED else None

    def time_left(self, now: float) -> TimeLeft | None:
        """How long it can still take, by its rate and its limit; None if neither says anything."""
        limit = None if self.seconds_at_most is None else max(0.0, self.began + self.seconds_at_most - now)
        rest = self._rest(now)
        if rest is None or (limit is not None and limit < rest):
            return None if limit is None else TimeLeft(limit, at_most=True)
        return TimeLeft(rest, self.open_ended)

    def _rest(self, now: float) -> float | None:
        """Seconds until all is done if it goes on as it did; None if that cannot be told, or it is overdue."""
        if self._from is None or self.total is None or self.done >= self.total:
            return None
        began, before, _ = self._from
        spent, done = self._at - began, self.done - before
        if done <= 0 or spent < _MEASURED:
            return None
        rest = spent / done * (self.total - self.done) - (now - self._at)
        return rest if rest > 0 else None

    def limits(self) -> str:
        """Its limits in words, such as `at most 2,000,000 shots or 5 min`; empty if it has none."""
        said = [f"{self.total:,} {self.unit}"] if self.open_ended and self.total is not None else []
        said += [] if self.seconds_at_most is None else [duration(self.seconds_at_most)]
        return f"at most {' or '.join(said)}" if said else ""


def duration(seconds: float) -> str:
    """A time in words, such as `0.4 s`, `40 s`, `5 min` and `2.5 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 179.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"
