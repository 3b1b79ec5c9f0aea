"""Shows the open rounds of a lab: who works on them, how far they are, and how to continue those at which nobody works."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from autoqec.history import Claim, Ledger
from autoqec.history.reading.open_rounds import OpenRound, OpenRounds
from autoqec.history.rounds.progress_files import RoundProgress
from autoqec.json_values import JsonObject
from autoqec.phases import TimeLeft, duration
from autoqec.views.console import out, plain_line, say
from autoqec.views.outcome_words import prompt_command

#: What there is of a round after each step.
_AFTER = {
    "": "",
    "claim": "before its hypothesis",
    "ideate": "after its hypothesis",
    "code": "after its candidate",
    "train": "after its training",
    "score": "after scoring",
    "analyse": "after its analysis",
    "verify": "after its verification",
}

#: Seconds after which a process that says nothing is said to be silent.
_SILENT = 60.0

#: Open rounds that `autoqec round` names; of more it says how many.
_MOST = 3

NOTHING = "no round is running, waiting or interrupted"


def name_of(claim: Claim) -> str:
    """A round as people name it."""
    return f"{claim.run}/{claim.number}"


def headline(found: OpenRound, now: float) -> str:
    """A round's state and what it does, in one line."""
    claim, name = found.claim, name_of(found.claim)
    if found.state == "running":
        return f"{name}  running: {_doing(found.progress, now)}"
    if found.state == "waiting":
        return f"{name}  waits for the {claim.waiting}"
    if found.ended:
        return " ".join(filter(None, (f"{name}  interrupted in another clone", _AFTER[found.after])))
    if found.state == "elsewhere":
        return f"{name}  open on another machine, {claim.host}"
    return " ".join(filter(None, (f"{name}  interrupted", _AFTER[found.after])))


def details(found: OpenRound, now: float) -> str:
    """Since when, and who."""
    since = duration(age) if (age := _age(found.claim, now)) is not None else "?"
    who = f"process {found.claim.pid}" + (f" of {found.user}" if found.user else "") + f" on {found.claim.host}"
    if found.state == "running":
        silent = now - found.progress.written if found.progress else 0.0
        return f"for {since}, {who}" + (f"; it has said nothing for {duration(silent)}" if silent >= _SILENT else "")
    if found.state == "elsewhere" and not found.ended:
        return f"begun {since} ago, {who}; from here nobody can tell whether that is alive"
    return f"begun {since} ago" + ("" if found.state == "waiting" else f", {who}, which has ended")


def how_to_continue(found: OpenRound) -> str:
    """The command that continues a round at which nobody works; empty for one that is running."""
    claim = found.claim
    if found.state == "waiting":
        return prompt_command(claim.waiting, name_of(claim))
    if found.state == "elsewhere":
        return f"autoqec resume {claim.run} --force"
    return f"autoqec resume {claim.run}" if found.state == "interrupted" else ""


def print_status(rounds: Sequence[OpenRound]) -> None:
    """Three lines a round at most, oldest first."""
    console, now = out(), time.time()
    for found in rounds:
        console.print(plain_line(headline(found, now)))
        console.print(plain_line(f"  {details(found, now)}"))
        command = how_to_continue(found)
        if command:
            words = "if it is not: " if found.state == "elsewhere" else "continue: "
            words = "if that clone is gone: " if found.ended else words
            console.print_whole(plain_line(f"  {words}{command}"))
    if not rounds:
        say(NOTHING)


def status_row(found: OpenRound, now: float) -> JsonObject:
    """A round as a JSON object."""
    claim, progress = found.claim, found.progress
    return {
        "schema": "autoqec.status/1",
        "run": claim.run,
        "round": claim.number,
        "branch": f"exp/{name_of(claim)}",
        "state": found.state,
        "status": None,
        "started": claim.started,
        "host": claim.host,
        "pid": claim.pid,
        "user": found.user or None,
        "waits_for": claim.waiting or None,
        "after": found.after or None,
        "command": how_to_continue(found) or None,
        "progress": None if progress is None else _progress_row(progress, now),
    }


def ended_row(claim: Claim) -> JsonObject:
    """A round that was open before and is closed now, as a JSON object."""
    found = OpenRound(claim, "running")
    return {**status_row(found, 0.0), "state": "ended", "status": claim.status}


def ended_line(claim: Claim) -> str:
    """That a round is over, in one line."""
    return f"{name_of(claim)}  ended: {claim.status or '?'}"


def say_open_rounds(ledger: Ledger, run: str) -> None:
    """Name the open rounds of a run, and how to continue those at which nobody works."""
    found, now = OpenRounds(ledger, run).read(), time.time()
    for each in found[:_MOST]:
        command = how_to_continue(each)
        if each.state == "elsewhere":
            command = f"if {'that clone is gone' if each.ended else 'it is not at work there'}: {command}"
        line = (
            headline(each, now).replace("  ", " ", 1)
            if each.state != "running"
            else f"{name_of(each.claim)} is running"
        )
        more = f"; {command}" if command else f", {details(each, now).partition(', ')[2]}"
        say(plain_line(f"round {line}{more}").plain)
    if len(found) > _MOST:
        say(f"and {len(found) - _MOST} more open rounds of {run}: autoqec status")


def _doing(progress: RoundProgress | None, now: float) -> str:
    if progress is None or not progress.phase:
        return "it does not say what" if progress is None else "between two steps"
    return ", ".join((progress.phase, *_figures(progress, now)))


def _figures(progress: RoundProgress, now: float) -> Iterator[str]:
    if progress.total and not progress.open_ended:
        yield f"{min(100, 100 * progress.done // progress.total)} %"
    elif progress.done:
        yield f"{progress.done:,} {progress.unit}"
    if progress.note:
        yield progress.note
    left = progress.seconds_left_at(now)
    if left:
        yield TimeLeft(left, progress.at_most).in_words()


def _progress_row(progress: RoundProgress, now: float) -> JsonObject:
    return {
        "step": progress.step or None,
        "phase": progress.phase or None,
        "note": progress.note or None,
        "seconds": round(max(0.0, now - progress.began), 1),
        "unit": progress.unit,
        "done": progress.done,
        "total": progress.total,
        "open_ended": progress.open_ended,
        "per_second": None if progress.rate is None else float(f"{progress.rate:.4g}"),
        "seconds_left": None if (left := progress.seconds_left_at(now)) is None else round(left, 1),
        "seconds_left_at_most": progress.at_most,
        "seconds_silent": round(max(0.0, now - progress.written), 1),
    }


def _age(claim: Claim, now: float) -> float | None:
    try:
        return max(0.0, now - datetime.fromisoformat(claim.started).timestamp())
    except (ValueError, OverflowError):
        return None


def changes(before: Iterable[OpenRound], after: Iterable[OpenRound]) -> list[OpenRound]:
    """Rounds that were not there before, or are in another state or phase."""
    known = {each.claim.ref: _kind(each) for each in before}
    return [each for each in after if known.get(each.claim.ref) != _kind(each)]


def _kind(found: OpenRound) -> tuple[object, ...]:
    progress = found.progress
    return (
        found.claim.attempt,
        found.state,
        found.claim.pid,
        progress.step if progress else "",
        progress.phase if progress else "",
    )
