"""How a round came out, in the words that every command uses: the word, its reason, what it means and what to do next."""

from __future__ import annotations

from rich.text import Text

from autoqec.results.reasons import REASONS, unverified_words, verdict_words
from autoqec.views.console import plain_line
from autoqec.views.round_json import RoundRow

_VERDICT_STYLE = {"VERIFIED": "bold green", "SUSPICIOUS": "bold yellow", "FAILED": "red"}

#: What shows or continues a round that has not ended, by its status; one that is open is at work.
_UNFINISHED = {"open": "autoqec status", "interrupted": "autoqec resume"}

_ROLES = ("ideator", "coder", "analyst")

#: What a round without a verdict is called that ended well.
NOT_VERIFIED = "not verified"


def is_signed(row: RoundRow) -> bool:
    """Whether an allowed signer signed the verdict that counts."""
    return row.trust is not None and row.trust["state"] == "signed"


def outcome_word(row: RoundRow) -> str:
    """The verdict with its reason; else the state of one that does not count; else how the round ended."""
    if row.verdict is not None:
        return verdict_words(row.verdict, row.verdict_reason or "")
    if row.trust is not None:  # there is a verdict, and it does not count
        return row.trust["state"]
    return NOT_VERIFIED if row.status == "ok" else row.status


def outcome_text(row: RoundRow) -> Text:
    """The same in colour, with a mark if the verdict is signed."""
    shown = plain_line(outcome_word(row) + " ✓" * is_signed(row))
    style = "bold red" if row.trust is not None and row.trust["state"] in ("invalid", "foreign") else "dim"
    shown.stylize(_VERDICT_STYLE[row.verdict] if row.verdict is not None else style)
    return shown


def outcome_meaning(row: RoundRow) -> str:
    """What the word means, in a sentence; empty for a VERIFIED round, whose word says it."""
    if row.verdict is not None:
        known = REASONS.get(row.verdict_reason or "")
        return "" if row.verdict == "VERIFIED" or known is None else known.says
    if row.trust is not None:
        return f"its verdict does not count: {row.trust['why']}"
    if row.status != "ok":
        return f"{row.status}: {row.reason}" if row.reason else ""
    gain = row.metrics.figures.gain_interval if row.metrics else None
    return f"{NOT_VERIFIED}: {unverified_words(row.decision, gain)}"


def prompt_command(role: str, name: str) -> str:
    """The command that prints the prompt of the role that a round waits for.

    Args:
        role: The role, as its claim says. A claim can come from anywhere, so no other word gets into the command.
        name: The round, `run/number`.
    """
    return f"autoqec agents prompt {f'{role} ' if role in _ROLES else ''}--run {name}"


def next_step(row: RoundRow) -> str:
    """The command that goes on from a round: that checks it, explains it, shows what it does, or finishes it."""
    if row.status in _UNFINISHED:
        return _UNFINISHED[row.status]
    if row.status == "waiting":
        return prompt_command((row.reason or "").removeprefix("for the "), row.name)
    return f"autoqec verify {row.name} --audit" if row.verdict == "VERIFIED" else f"autoqec diagnose {row.name}"
