"""Archives a finished run (its branches become archive refs) and prunes weights (their hashes stay in the metrics)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from autoqec.errors import AutoQECError
from autoqec.history.reading.history_reader import read_run
from autoqec.history.reading.snapshot import ARTIFACTS, take_snapshot
from autoqec.history.rounds.claims import list_claims
from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES, branch_name, find_round
from autoqec.history.rounds.run_refs import RUNS, load_run
from autoqec.history.store.objects import get_commit
from autoqec.history.store.refs import compare_and_swap, list_refs, target
from autoqec.history.store.repository import Ledger, require_writable
from autoqec.history.sync.archived_branches import drop_branches

_NUMBER = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Archived:
    """The result of archiving a run.

    Attributes:
        run: The run.
        rounds: Numbers of the archived rounds, whose branches are deleted.
        left: Branches that stay, each with the reason.
    """

    run: str
    rounds: tuple[int, ...]
    left: dict[str, str]


def archive_run(ledger: Ledger, run: str) -> Archived:
    """Move a run's rounds from `refs/heads/exp/<run>/` to `refs/autoqec/rounds/<run>/`.

    It creates and checks every archive ref before it deletes the first branch, so a kill at any time loses nothing, and
    running it again finishes the work. A branch stays if it is checked out or has moved past the round's commit.

    Raises:
        NotFoundError: There is no such run.
        AutoQECError: One of its rounds is open, an archive ref holds another commit, or a ref is not writable.
    """
    require_writable(ledger)
    _require_closed(ledger, run)
    branches = _numbered(ledger, f"{BRANCHES}{run}/")
    left: dict[str, str] = {}
    for number, tip in branches.items():
        if (found := find_round(ledger, run, number)) != tip:
            left[branch_name(run, number)] = f"it has moved away from {found[:10]}, the round's commit"
            continue
        ref = f"{ARCHIVE}{run}/{number}"
        if not compare_and_swap(ledger, ref, None, tip, "autoqec: archive") and target(ledger, ref) != tip:
            raise AutoQECError(f"{ref} and {branch_name(run, number)} hold different commits", hint="autoqec fsck")
    moved = {number: tip for number, tip in branches.items() if branch_name(run, number) not in left}
    for number, tip in moved.items():
        if target(ledger, f"{ARCHIVE}{run}/{number}") != tip:
            raise AutoQECError(f"{ARCHIVE}{run}/{number} was moved by another tool", hint="autoqec fsck")
        get_commit(ledger, tip)
    going = {f"{BRANCHES}{run}/{number}": tip for number, tip in moved.items()}
    left |= drop_branches(ledger, going, "archive")[1]
    return Archived(run, tuple(number for number in moved if branch_name(run, number) not in left), left)


def prune_weights(ledger: Ledger, run: str, keep: Collection[int]) -> list[int]:
    """Drop the weights of a run's rounds, except those to keep. `git gc` deletes them later.

    It drops only weights whose hash is in the round's metrics, so you can still recognise a copy of them.

    Args:
        ledger: The lab.
        run: The run.
        keep: Numbers of the rounds that keep their weights.

    Returns:
        The numbers of the rounds whose weights are dropped.

    Raises:
        NotFoundError: There is no such run.
        AutoQECError: One of its rounds is open, or a ref is not writable.
    """
    require_writable(ledger)
    _require_closed(ledger, run)
    metrics = {record.number: record.metrics for record in read_run(ledger, take_snapshot(ledger), run).records}
    pruned: list[int] = []
    for number, oid in _numbered(ledger, f"{ARTIFACTS}{run}/").items():
        if number in keep:
            continue
        # A round that has no commit here has no metrics, so its hash is unknown.
        hashed = isinstance((metrics.get(number) or {}).get("weights_sha256"), str)
        if hashed and compare_and_swap(ledger, f"{ARTIFACTS}{run}/{number}", oid, None, "autoqec: prune"):
            pruned.append(number)
    return pruned


def _require_closed(ledger: Ledger, run: str) -> None:
    if target(ledger, f"{RUNS}{run}") is None:
        load_run(ledger, run)  # raises an error that lists the runs
    still = [claim.number for claim in list_claims(ledger, run) if claim.state == "open"]
    if still:
        raise AutoQECError(f"round {run}/{still[0]} is not closed yet", hint=f"autoqec resume {run}")


def _numbered(ledger: Ledger, prefix: str) -> dict[int, str]:
    found = {ref.removeprefix(prefix): oid for ref, oid in list_refs(ledger, prefix).items()}
    return {number: found[str(number)] for number in sorted(int(name) for name in found if _NUMBER.fullmatch(name))}
