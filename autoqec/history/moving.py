"""Moving many refs at once, and the one case in which a branch goes: its round is archived, and nobody stands on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from autoqec.errors import AutoQECError
from autoqec.history.network import run_git
from autoqec.history.refs import compare_and_swap, target
from autoqec.history.repository import Ledger
from autoqec.history.rounds import ARCHIVE, BRANCHES

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
            raise AutoQECError(f"another tool keeps moving {ref}", mend="autoqec pull, once more")


def checked_out(ledger: Ledger) -> set[str]:
    """The branches, as full names, that a working tree of this repository stands on."""
    heads = [ledger.git_dir / "HEAD", *Path(ledger.git_dir, "worktrees").glob("*/HEAD")]
    return {head.read_text().strip().removeprefix("ref: ") for head in heads}


def archived_branches(refs: Collection[str]) -> set[str]:
    """The branches among refs whose rounds are archived there as well."""
    return {ref for ref in refs if ref.startswith(BRANCHES) and ARCHIVE + ref.removeprefix(BRANCHES) in refs}


def drop_branches(ledger: Ledger, branches: Mapping[str, str], why: str) -> tuple[list[str], dict[str, str]]:
    """Let go of branches of archived rounds; the caller has seen that the archive holds the same commits.

    Args:
        ledger: The lab.
        branches: The oid each holds, by full name.
        why: For their logs.

    Returns:
        Those that went, and those that stay, each with the reason.
    """
    gone: list[str] = []
    left: dict[str, str] = {}
    for ref, oid in branches.items():
        name = ref.removeprefix("refs/heads/")
        if ref in checked_out(ledger):  # looked at each time: a person may check one out while others are dropped
            left[name] = "it is checked out in a worktree"
        elif not compare_and_swap(ledger, ref, oid, None, f"autoqec: {why}"):
            left[name] = "it was moved just now"
        else:
            gone.append(ref)
    return gone, left
