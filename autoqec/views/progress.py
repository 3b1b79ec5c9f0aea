"""Shows the progress of a round on standard error: phases, shots per second, loss, time left; and what must not be missed."""

from __future__ import annotations

import time
from collections.abc import Callable

from autoqec.counted_words import counted
from autoqec.round_events import AgentsSpent, ObserverFails, RoundEvent, WorkersChange
from autoqec.round_phases import RoundPhases
from autoqec.views.console import plain, say
from autoqec.views.phase_display import PhaseDisplay

#: Steps that a reader waits for, so that it is said why there is none.
_EXPECTED = {"verify": "not verified"}


class RoundDisplay(PhaseDisplay):
    """Shows events; use as a context manager and hand `event` to the session as its report.

    Args:
        quiet: Show nothing but what must not be missed.
        clock: The time in seconds.
    """

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic):
        super().__init__(quiet=quiet, clock=clock)
        self._phases = RoundPhases(clock)
        self._told_of_workers: set[tuple[str, str, str]] = set()

    def event(self, event: RoundEvent) -> None:
        """Show one event of a session."""
        # These are shown in any case: a tracker may have missed part of the run, or a record may be forged.
        if event["event"] == "observer_failed":
            say(_observer_note(event))
        elif event["event"] == "record_conflict":
            say(f"warning: round {event['run']}/{event['round']}: {event['problem']} [{event['code']}]: autoqec fsck")
        elif event["event"] == "verdict_unsigned":
            say(
                f"warning: the verdict on round {event['run']}/{event['round']} will not count here: the setting trust asks for"
                " signatures, and signing_key is not set"
            )
        elif event["event"] == "workers":
            self._say_of_worker(event)
        elif event["event"] == "round":
            self.show(None)
            self.say(f"round {event['run']}/{event['round']}")
        elif event["event"] == "compiling":
            self.say(compiling_note(event["what"], event["seconds"]))
        elif event["event"] == "spent":
            self.say(f"spent on this run: {event['tokens']:,} tokens, {_money(event)}")
        elif event["event"] == "skipped" and event["step"] in _EXPECTED:
            self.say(f"{_EXPECTED[event['step']]}: {event['why']}")
        if self._phases.take(event) or self._phases.phase is not None:
            self.show(self._phases.phase)

    def _say_of_worker(self, event: WorkersChange) -> None:
        """Say what is wrong with a worker, once: steps may begin with the same workers. A wrong answer is said in any case."""
        told = (event["what"], event["worker"], event["reason"])
        if event["what"] == "joined" or told in self._told_of_workers:
            return
        self._told_of_workers.add(told)
        text = f"worker {plain(event['worker']).plain} {event['what']}: {plain(event['reason']).plain}"
        if event["what"] == "dropped":
            say(f"warning: {text}")
        else:
            self.say(text)


def compiling_note(what: str, seconds: float) -> str:
    """That something is compiled for the first time, and how long that takes."""
    return f"compiling {plain(what).plain}, once, about {seconds:.0f} s"


def _observer_note(event: ObserverFails) -> str:
    place = f" ({event['file']}, line {event['line']})" if event["file"] else ""
    return (
        f"warning: the observer of plugin {event['plugin']} ({event['distribution']}) failed and gets no further events: "
        f"{event['error']}{place}"
    )


def _money(spent: AgentsSpent) -> str:
    unknown = f", and {counted(spent['unpriced'], 'call')} of unknown price" if spent["unpriced"] else ""
    return f"${spent['cost']:.4f}{unknown}"
