"""The one case in which a branch goes: its round is archived at the same commit, and nobody stands on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES
from autoqec.history.store.git_program import Remote
from autoqec.history.store.refs import compare_and_swap, list_refs
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.joining import SHARED, run_of


def checked_out(ledger: Ledger) -> set[str]:
    """The branches, as full names, that a working tree of this repository stands on."""
    heads = [ledger.git_dir / "HEAD", *Path(ledger.git_dir, "worktrees").glob("*/HEAD")]
    return {head.read_text().strip().removeprefix("ref: ") for head in heads}


def archived_branches(refs: Collection[str]) -> set[str]:
    """The branches among refs whose rounds are archived there as well."""
    return {ref for ref in refs if ref.startswith(BRANCHES) and ARCHIVE + ref.removeprefix(BRANCHES) in refs}


def archived_there(ledger: Ledger, remote: Remote, run: str | None) -> dict[str, str]:
    """Branches that the remote still has of rounds that it has archived, by what it was last seen to hold: oid by ref."""
    theirs = list_refs(ledger, remote.tracking)
    found = {}
    for tracked, oid in theirs.items():
        name = tracked.removeprefix(f"{remote.tracking}exp/")
        owner = run_of("exp", name)
        if owner is not None and run in (None, owner) and theirs.get(f"{remote.tracking}rounds/{name}") == oid:
            found[SHARED["exp"] + name] = oid
    return found


def drop_archived(ledger: Ledger, remote: Remote, run: str | None) -> tuple[list[str], dict[str, str]]:
    """Let go of branches here of rounds that are archived here and on a remote, all three at the same commit."""
    mine = list_refs(ledger, SHARED["exp"], SHARED["rounds"])
    theirs = list_refs(ledger, f"{remote.tracking}rounds/")
    branches = {}
    for tracked, oid in theirs.items():
        name = tracked.removeprefix(f"{remote.tracking}rounds/")
        owner = run_of("rounds", name)
        both = mine.get(SHARED["rounds"] + name), mine.get(SHARED["exp"] + name)
        if both == (oid, oid) and owner is not None and run in (None, owner):
            branches[SHARED["exp"] + name] = oid
    return drop_branches(ledger, branches, f"archived on {remote.name}")


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
