"""Moves many refs in one transaction."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.errors import AutoQECError
from autoqec.history.store.git_program import run_git
from autoqec.history.store.refs import compare_and_swap, target
from autoqec.history.store.repository import Ledger

Moves = Mapping[str, tuple[str | None, str | None]]  # old and new oid by ref name

_ABSENT = "0" * 40


def move_at_once(ledger: Ledger, moves: Moves, why: str) -> bool:
    """Move all refs, or none if one does not hold its old value; return whether they moved.

    Args:
        ledger: The lab.
        moves: Old value (None if the ref does not exist) and new value (None to delete it).
        why: Message for the reflogs.
    """
    lines = (
        f"delete {ref} {old}\n" if new is None else f"update {ref} {new} {old or _ABSENT}\n"
        for ref, (old, new) in moves.items()
    )
    options = ("-m", f"autoqec: {why}", "--no-deref", "--stdin")
    return not moves or run_git(ledger, "update-ref", *options, stdin="".join(lines)).returncode == 0


def move(ledger: Ledger, moves: Moves, why: str) -> None:
    """Move refs in one transaction; if git refuses, move them one by one, which is slower and names the culprit.

    Raises:
        AutoQECError: A ref is not writable, or does not hold its old value.
    """
    if move_at_once(ledger, moves, why):
        return
    for ref, (old, new) in moves.items():
        if target(ledger, ref) != new and not compare_and_swap(ledger, ref, old, new, f"autoqec: {why}"):
            raise AutoQECError(f"another tool keeps moving {ref}", hint="run autoqec pull again")
