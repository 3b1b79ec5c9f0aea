"""Moving many refs at once."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.errors import AutoQECError
from autoqec.history.store.git_program import run_git
from autoqec.history.store.refs import compare_and_swap, target
from autoqec.history.store.repository import Ledger

Moves = Mapping[str, tuple[str | None, str | None]]  # what a ref holds and what it shall hold, by its name

_ABSENT = "0" * 40


def move_at_once(ledger: Ledger, moves: Moves, why: str) -> bool:
    """Move refs, all or none of them, and say whether they were moved; none are if one does not hold what it should.

    Args:
        ledger: The lab.
        moves: What each holds (None if it does not exist) and shall hold (None to delete it).
        why: For their logs.
    """
    lines = (
        f"delete {ref} {old}\n" if new is None else f"update {ref} {new} {old or _ABSENT}\n"
        for ref, (old, new) in moves.items()
    )
    options = ("-m", f"autoqec: {why}", "--no-deref", "--stdin")
    return not moves or run_git(ledger, "update-ref", *options, stdin="".join(lines)).returncode == 0


def move(ledger: Ledger, moves: Moves, why: str) -> None:
    """Move refs at once if git will, else one by one, which is slower and says which of them is in whose way.

    Raises:
        AutoQECError: One cannot be written, or does not hold what it should.
    """
    if move_at_once(ledger, moves, why):
        return
    for ref, (old, new) in moves.items():
        if target(ledger, ref) != new and not compare_and_swap(ledger, ref, old, new, f"autoqec: {why}"):
            raise AutoQECError(f"another tool keeps moving {ref}", hint="autoqec pull, once more")
