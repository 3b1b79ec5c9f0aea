"""Shows the progress of a round on standard error: step, shots per second, loss, time left. Elsewhere a line for each step."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from autoqec.counted_words import counted
from autoqec.round_events import AgentsSpent, AgentWorks, ObserverFails, RoundEvent, VerifyingGoesOn
from autoqec.views.console import erased_for_output, err, plain, say

_TITLES = {
    "ideate": "ideator: what to try",
    "code": "coder: the candidate",
    "train": "training",
    "score": "scoring against the plain decoder",
    "analyse": "analyst",
    "verify": "verifying on the holdout",
    "close": "closing",
}

#: In a narrower terminal the bar and the time that has passed are left out, so that a step takes one line.
_WIDE = 120


class RoundDisplay:
    """Shows events; use as a context manager and hand `show` to the session as its report.

    Args:
        quiet: Show nothing even on a terminal.
    """

    def __init__(self, *, quiet: bool = False):
        self._console = err()
        self._active = self._console.is_terminal and not quiet
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._title = self._stage = ""
        self._began = time.monotonic()
        self._lines = None if quiet or self._active else _PhaseLines()

    def __enter__(self) -> RoundDisplay:
        if self._active:
            erased_for_output(self._erase)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            self._erase()
            erased_for_output(None)
        if self._lines is not None:
            self._lines.end()

    def _drawn(self) -> Progress:
        """What is drawn; drawn anew if it was erased. Output of the command goes where the command sends it, not through this."""
        if self._progress is None:
            wide = self._console.width >= _WIDE
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                *((BarColumn(bar_width=24),) if wide else ()),
                TextColumn("{task.fields[note]}"),
                *((TimeElapsedColumn(),) if wide else ()),
                TimeRemainingColumn(compact=True),
                console=self._console,
                transient=True,
                redirect_stdout=False,
            )
            self._progress.start()
        return self._progress

    def _erase(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None

    def show(self, event: RoundEvent) -> None:
        """Show one event of a session."""
        # These are shown without a terminal too: a tracker may have missed part of the run, or a record may be forged.
        if event["event"] == "observer_failed":
            say(_observer_note(event))
        elif event["event"] == "record_conflict":
            say(f"warning: round {event['run']}/{event['round']}: {event['problem']} [{event['code']}]: autoqec fsck")
        elif event["event"] == "verdict_unsigned":
            say(
                f"warning: the verdict on round {event['run']}/{event['round']} will not count here: the setting trust asks for"
                " signatures, and signing_key is not set"
            )
        if self._lines is not None:
            self._lines.show(event)
        if self._active:
            self._draw(event)

    def _draw(self, event: RoundEvent) -> None:
        if event["event"] == "round":
            self._drawn().console.print(Text("round ", style="bold") + plain(f"{event['run']}/{event['round']}"))
        elif event["event"] == "step":
            self._begin(_TITLES.get(event["step"], event["step"]))
        elif event["event"] == "compiling":
            self._drawn().console.print(compiling_note(event["what"], event["seconds"]), markup=False)
        elif event["event"] == "agent":
            self._note(_agent_note(event))
        elif event["event"] == "spent":
            self._drawn().console.print(plain(f"spent on this run: {event['tokens']:,} tokens, {_money(event)}"))
        elif event["event"] == "train":
            cut = f", cut from {event['planned']:,} steps to fit the time" if event["steps"] < event["planned"] else ""
            note = f"loss {event['loss']:.3f}, {self._speed(event['shots'])}{cut}"
            self._advance(event["step"], event["steps"], note)
        elif event["event"] == "screen":
            self._note(f"screen: {event['shots']:,} of {event['total']:,} shots")
        elif event["event"] == "score":
            self._advance(event["shots"], event["total"], self._speed(event["shots"]))
        elif event["event"] == "verify":
            self._verify(event)
        elif event["event"] == "closed":
            self._title = self._stage = ""
            self._erase()

    def _verify(self, event: VerifyingGoesOn) -> None:
        """Each part of a verification counts its own shots, so it has a bar and a clock of its own.

        The test stops as soon as the evidence suffices, so what is left of its shots says nothing of the time that is left.
        """
        stage = event.get("stage", "test")
        if self._stage != stage:
            self._begin(f"verifying: {stage}")
            self._stage = stage
        shots = event["shots"]
        if stage == "test":
            evidence = f", log evidence {event['log_e_better']:.1f}" if "log_e_better" in event else ""
            self._note(f"{shots:,} shots{evidence}, {self._speed(shots)}")
        else:
            self._advance(shots, event["max_shots"], f"{shots:,} shots, {self._speed(shots)}")

    def _note(self, note: str) -> None:
        self._resume()
        if self._task is not None:
            self._drawn().update(self._task, note=plain(note).plain)

    def _begin(self, title: str) -> None:
        progress = self._drawn()
        if self._task is not None:
            progress.remove_task(self._task)
        self._title, self._stage = title, ""
        self._task = progress.add_task(title, total=None, note="")
        self._began = time.monotonic()

    def _resume(self) -> None:
        """Draw the step again if output erased it; its shots were counted from when it began."""
        if self._task is None and self._title:
            self._task = self._drawn().add_task(self._title, total=None, note="")

    def _advance(self, done: int, total: int, note: str) -> None:
        self._resume()
        if self._task is not None:
            self._drawn().update(self._task, completed=done, total=total, note=note)

    def _speed(self, shots: int) -> str:
        return f"{shots / max(1e-3, time.monotonic() - self._began):,.0f} shots/s"


class _PhaseLines:
    """A line for each step of a round once it is done, and for each stage of a verification, with what it took."""

    def __init__(self) -> None:
        self._phase = self._step = ""
        self._began = time.monotonic()

    def show(self, event: RoundEvent) -> None:
        """Note an event, and say what it ends."""
        if event["event"] == "round":
            self._begin("")
            say(f"round {event['run']}/{event['round']}")
        elif event["event"] == "step":
            self._step = _TITLES.get(event["step"], event["step"])
            self._begin(self._step)
        elif event["event"] == "compiling":
            say(compiling_note(event["what"], event["seconds"]))
        elif event["event"] == "verify" and "stage" in event:
            title = self._step or _TITLES["verify"]
            self._begin(f"{title}: {event['stage']}")
        elif event["event"] == "closed":
            self._begin("")

    def end(self) -> None:
        """Say what the last phase took."""
        self._begin("")

    def _begin(self, phase: str) -> None:
        if phase != self._phase:
            if self._phase:
                say(f"{self._phase}: {time.monotonic() - self._began:.1f} s")
            self._phase, self._began = phase, time.monotonic()


def compiling_note(what: str, seconds: float) -> str:
    """That something is compiled for the first time, and how long that takes."""
    return f"compiling {plain(what).plain}, once, about {seconds:.0f} s"


def _agent_note(event: AgentWorks) -> str:
    if "waiting" in event:
        return f"{event.get('why', 'trouble')}: continues in {event['waiting']:.0f} s"
    return f"{event.get('tokens', 0):,} tokens"


def _observer_note(event: ObserverFails) -> str:
    place = f" ({event['file']}, line {event['line']})" if event["file"] else ""
    return (
        f"warning: the observer of plugin {event['plugin']} ({event['distribution']}) failed and gets no further events: "
        f"{event['error']}{place}"
    )


def _money(spent: AgentsSpent) -> str:
    unknown = f", and {counted(spent['unpriced'], 'call')} of unknown price" if spent["unpriced"] else ""
    return f"${spent['cost']:.4f}{unknown}"
