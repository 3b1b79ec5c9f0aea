"""Writes down what a round does while it is at work, for `autoqec status` in other processes; see `progress_files`."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable

from autoqec.history import Ledger
from autoqec.history.rounds.progress_files import RoundProgress, remove_dead, remove_progress, write_progress
from autoqec.history.store.owner import this_process
from autoqec.phases import Phase
from autoqec.round_events import RoundEvent
from autoqec.round_phases import RoundPhases

#: Seconds between two files of one phase; and how many files may come sooner, because a phase begins.
_EVERY, _SOONER = 1.0, 20

_LONGEST = 200


class ProgressWriter:
    """Follows the events of a session's rounds.

    Args:
        ledger: The lab.
        clock: The time in seconds.
        now: The time in seconds since 1970.
    """

    def __init__(
        self, ledger: Ledger, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time
    ):
        self._ledger, self._clock, self._now = ledger, clock, now
        self._phases = RoundPhases(clock)
        self._attempt = ""
        self._written, self._left, self._filled = float("-inf"), float(_SOONER), clock()
        self._owner, self._user = this_process(), _user()

    def event(self, event: RoundEvent) -> None:
        """Note an event, and write what is done if that is due."""
        began = self._phases.take(event)
        if event["event"] == "round":
            self.close()
            remove_dead(self._ledger)
            self._attempt, began = event.get("attempt", ""), True
        elif event["event"] == "closed":
            self.close()
        if self._attempt and self._is_due(began=began):
            write_progress(self._ledger, self._attempt, self._said())

    def close(self) -> None:
        """Delete the file of the round: nobody works on it any more."""
        if self._attempt:
            remove_progress(self._ledger, self._attempt)
            self._attempt = ""

    def _is_due(self, *, began: bool) -> bool:
        """Whether a file is written now: one a second, and a few sooner, however fast events come."""
        now = self._clock()
        self._left = min(_SOONER, self._left + (now - self._filled) / _EVERY)
        self._filled = now
        if self._left < 1 or not (began or now - self._written >= _EVERY):
            return False
        self._left, self._written = self._left - 1, now
        return True

    def _said(self) -> RoundProgress:
        now, phase = self._clock(), self._phases.phase or Phase("", self._clock())
        left = phase.time_left(now)
        return RoundProgress(
            owner=self._owner,
            user=self._user,
            step=self._phases.step[:_LONGEST],
            phase=phase.title[:_LONGEST],
            note=phase.note[:_LONGEST],
            unit=phase.unit,
            done=phase.done,
            total=phase.total,
            open_ended=phase.open_ended,
            rate=phase.rate,
            seconds_left=left.seconds if left else None,
            at_most=left is not None and left.at_most,
            began=self._now() - (now - phase.began),
            written=self._now(),
        )


def _user() -> str:
    try:
        return getpass.getuser()[:_LONGEST]
    except (OSError, KeyError):  # the user has no name here
        return ""
