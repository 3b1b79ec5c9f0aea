"""Runs that several clones work on: whichever clone starts one first on the remote has started it for all.

A clone that was just made knows no runs, because `git clone` brings branches only. So before a clone starts a run of a given
name, it asks the remote for one; and it records its own only once the remote has accepted it.
"""

from __future__ import annotations

from autoqec.errors import AutoQECError
from autoqec.history.rounds.run_refs import RUNS, Run, check_run_name, run_exists, store_run
from autoqec.history.store.git_program import LostRaceError, find_remote, push_refs
from autoqec.history.store.refs import compare_and_swap, target
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.push_pull import fetch_kinds, pull, remember


def pull_shared_run(ledger: Ledger, name: str, remote: str) -> bool:
    """Pull a run, if the remote has it.

    Args:
        ledger: The lab.
        name: The run.
        remote: A configured remote's name, a URL, or the path of a repository.

    Returns:
        Whether the remote has the run.

    Raises:
        UsageError: `name` is not a run name.
        NotFoundError: There is no such remote.
        AutoQECError: The remote is unreachable or contradicts this lab; local data was kept.
    """
    there = find_remote(ledger, remote)
    fetch_kinds(ledger, there, check_run_name(name), ("runs",))
    if target(ledger, f"{there.tracking}runs/{name}") is None:
        return False
    pull(ledger, remote, name)
    return True


def record_shared_run(ledger: Ledger, run: Run, remote: str) -> None:
    """Record a new run on a remote, then in this lab.

    A kill in between leaves a run that this lab gets with its next pull.

    Args:
        ledger: The lab.
        run: The run as `describe_run` returned it.
        remote: A configured remote's name, a URL, or the path of a repository.

    Raises:
        UsageError: The run exists. If it is on the remote, it is in this lab now.
        AutoQECError: The remote is unreachable or refuses the run, or the repository is not writable.
    """
    ref = RUNS + run.name
    if target(ledger, ref) is not None or pull_shared_run(ledger, run.name, remote):
        raise run_exists(run.name)
    there, commit = find_remote(ledger, remote), store_run(ledger, run)
    try:
        push_refs(ledger, there, [f"{commit}:{ref}"], leases=[(ref, "")])
    except LostRaceError:
        if pull_shared_run(ledger, run.name, remote):
            raise run_exists(run.name) from None
        raise
    remember(ledger, there, {ref: commit})
    if not compare_and_swap(ledger, ref, None, commit, f"autoqec: start {run.name}, with {remote}"):
        if target(ledger, ref) == commit:  # another process of this lab has pulled it meanwhile
            return
        raise AutoQECError(
            f"another process of this lab has started {run.name} without {remote}, while {remote} accepted ours",
            hint="start a run with a new name: autoqec round --new",
        )
