"""Deletes branches of archived rounds: only at the archived commit, and only if the branch is not checked out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES
from autoqec.history.store.git_program import Remote
from autoqec.history.store.refs import compare_and_swap, list_refs
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.joining import SHARED, run_of


def checked_out(ledger: Ledger) -> set[str]:
    """Return the full names of the branches that are checked out in a worktree of this repository."""
    heads = [ledger.git_dir / "HEAD", *Path(ledger.git_dir, "worktrees").glob("*/HEAD")]
    return {head.read_text().strip().removeprefix("ref: ") for head in heads}


def archived_branches(refs: Collection[str]) -> set[str]:
    """Return the branches among `refs` whose rounds have an archive ref among `refs` too."""
    return {ref for ref in refs if ref.startswith(BRANCHES) and ARCHIVE + ref.removeprefix(BRANCHES) in refs}


def archived_there(ledger: Ledger, remote: Remote, run: str | None) -> dict[str, str]:
    """Return the remote's branches of rounds that it has archived, as last fetched: oid by ref."""
    theirs = list_refs(ledger, remote.tracking)
    found = {}
    for tracked, oid in theirs.items():
        name = tracked.removeprefix(f"{remote.tracking}exp/")
        owner = run_of("exp", name)
        if owner is not None and run in (None, owner) and theirs.get(f"{remote.tracking}rounds/{name}") == oid:
            found[SHARED["exp"] + name] = oid
    return found


def drop_archived(ledger: Ledger, remote: Remote, run: str | None) -> tuple[list[str], dict[str, str]]:
    """Delete local branches of rounds that are archived in this lab and on a remote, all three at the same commit."""
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
    """Delete branches of archived rounds. The caller has checked that the archive holds the same commits.

    Args:
        ledger: The lab.
        branches: The oid that each branch holds, by full name.
        why: Message for the reflogs.

    Returns:
        The deleted branches, and the remaining ones with the reason.
    """
    gone: list[str] = []
    left: dict[str, str] = {}
    for ref, oid in branches.items():
        name = ref.removeprefix("refs/heads/")
        if ref in checked_out(ledger):  # read each time, because you may check one out meanwhile
            left[name] = "it is checked out in a worktree"
        elif not compare_and_swap(ledger, ref, oid, None, f"autoqec: {why}"):
            left[name] = "another process has just moved it"
        else:
            gone.append(ref)
    return gone, left
