"""Archiving: a finished run leaves the branches and stays in the history; pruning: its weights go, their hashes stay."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from autoqec.errors import AutoQECError
from autoqec.history.reading.snapshot import ARTIFACTS
from autoqec.history.rounds.claims import list_claims
from autoqec.history.rounds.notes import effective, read_notes
from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES, branch_name, find_round
from autoqec.history.rounds.run_refs import RUNS, load_run
from autoqec.history.store.objects import get_commit
from autoqec.history.store.refs import compare_and_swap, list_refs, target
from autoqec.history.store.repository import Ledger, require_writable
from autoqec.history.sync.archived_branches import drop_branches

_NUMBER = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Archived:
    """What archiving a run came to.

    Attributes:
        run: Which.
        rounds: The numbers of the rounds whose branches are gone, and which the archive holds.
        left: Branches that stay, each with the reason.
    """

    run: str
    rounds: tuple[int, ...]
    left: dict[str, str]


def archive_run(ledger: Ledger, run: str) -> Archived:
    """Move a run's rounds from `refs/heads/exp/<run>/` to `refs/autoqec/rounds/<run>/`.

    Every archive ref is made and looked at before the first branch goes, so that a kill at any time loses nothing; doing
    it again does what is left. A branch that is checked out stays, and so does one that holds more than the round.

    Raises:
        NotFoundError: There is no such run.
        AutoQECError: A round of it is open, an archive ref holds something else, or a ref cannot be written.
    """
    require_writable(ledger)
    _require_closed(ledger, run)
    branches = _numbered(ledger, f"{BRANCHES}{run}/")
    left: dict[str, str] = {}
    for number, tip in branches.items():
        if (found := find_round(ledger, run, number)) != tip:
            left[branch_name(run, number)] = f"it has moved on from {found[:10]}, the round's commit"
            continue
        ref = f"{ARCHIVE}{run}/{number}"
        if not compare_and_swap(ledger, ref, None, tip, "autoqec: archive") and target(ledger, ref) != tip:
            raise AutoQECError(f"{ref} holds another commit than {branch_name(run, number)}", hint="autoqec fsck")
    moved = {number: tip for number, tip in branches.items() if branch_name(run, number) not in left}
    for number, tip in moved.items():
        if target(ledger, f"{ARCHIVE}{run}/{number}") != tip:
            raise AutoQECError(f"{ARCHIVE}{run}/{number} was moved by another tool", hint="autoqec fsck")
        get_commit(ledger, tip)
    going = {f"{BRANCHES}{run}/{number}": tip for number, tip in moved.items()}
    left |= drop_branches(ledger, going, "archive")[1]
    return Archived(run, tuple(number for number in moved if branch_name(run, number) not in left), left)


def prune_weights(ledger: Ledger, run: str, keep: Collection[int]) -> list[int]:
    """Let go of the weights of a run's rounds, all but those to keep; git collects them in its own time.

    Only weights whose hash is in the round's metrics go: a copy of them can then still be told from others.

    Args:
        ledger: The lab.
        run: The run.
        keep: Numbers of the rounds that keep theirs.

    Returns:
        The numbers of the rounds whose weights went.

    Raises:
        NotFoundError: There is no such run.
        AutoQECError: A round of it is open, or a ref cannot be written.
    """
    require_writable(ledger)
    _require_closed(ledger, run)
    metrics = read_notes(ledger, run, "metrics")
    pruned: list[int] = []
    for number, oid in _numbered(ledger, f"{ARTIFACTS}{run}/").items():
        if number in keep:
            continue
        try:
            record = effective(metrics.get(find_round(ledger, run, number), []))
        except AutoQECError:
            continue  # no commit of that round is here to look its hash up
        hashed = record is not None and isinstance(record.get("weights_sha256"), str)
        if hashed and compare_and_swap(ledger, f"{ARTIFACTS}{run}/{number}", oid, None, "autoqec: prune"):
            pruned.append(number)
    return pruned


def _require_closed(ledger: Ledger, run: str) -> None:
    if target(ledger, f"{RUNS}{run}") is None:
        load_run(ledger, run)  # raises, and says what there is
    still = [claim.number for claim in list_claims(ledger, run) if claim.state == "open"]
    if still:
        raise AutoQECError(f"round {run}/{still[0]} is not closed yet", hint=f"autoqec resume {run}")


def _numbered(ledger: Ledger, prefix: str) -> dict[int, str]:
    found = {ref.removeprefix(prefix): oid for ref, oid in list_refs(ledger, prefix).items()}
    return {number: found[str(number)] for number in sorted(int(name) for name in found if _NUMBER.fullmatch(name))}
