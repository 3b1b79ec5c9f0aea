"""Claims in a run that several clones work on: the remote says who has which number, for it takes each claim only once.

The claim goes to the remote before it is written here. A kill in between leaves a claim that everybody sees and nobody
works on, which is the same as a round that was interrupted; the other way round, two clones might both believe they had it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.history.rounds.claims import Claim, next_claim, store_claim
from autoqec.history.rounds.run_refs import RUNS, load_run
from autoqec.history.store.git_program import LostRaceError, find_remote, pause, push_refs
from autoqec.history.store.refs import compare_and_swap, target
from autoqec.history.store.repository import Ledger, require_writable
from autoqec.history.sync.push_pull import fetch_kinds, remember

_TRIES = 50


def claim_shared_round(ledger: Ledger, run: str, remote: str, details: Mapping[str, Any] | None = None) -> Claim:
    """Take the next number of a run that is free here and on a remote, for this process, from everybody else.

    Args:
        ledger: The lab.
        run: The run; it is put on the remote too if it is not there.
        remote: A configured remote's name, a URL, or the path of a repository, the same for all clones.
        details: Plain data to keep with the claim.

    Raises:
        NotFoundError: There is no such run or remote.
        AutoQECError: The remote cannot be reached, refuses the claim, or has another run of that name.
    """
    require_writable(ledger)
    load_run(ledger, run)
    there = find_remote(ledger, remote)
    shared = RUNS + run
    for attempt in range(_TRIES):
        fetch_kinds(ledger, there, run, ("runs", "claims", "exp", "rounds", "attempts"))
        mine, theirs = str(target(ledger, shared)), target(ledger, f"{there.tracking}runs/{run}")
        if theirs not in (None, mine):
            raise AutoQECError(
                f"{remote} has another run named {run}: {shared} is {mine} here and {theirs} there",
                hint="start one with a name of its own: autoqec round --new",
            )
        claim = next_claim(ledger, run, details)  # counts what the fetch has brought
        oid = store_claim(ledger, claim)
        refs = [(claim.ref, oid)] if theirs else [(shared, mine), (claim.ref, oid)]
        try:
            push_refs(ledger, there, [f"{value}:{ref}" for ref, value in refs], leases=[(claim.ref, "")])
        except LostRaceError:
            pause(attempt)
            continue
        remember(ledger, there, dict(refs))
        if compare_and_swap(ledger, claim.ref, None, oid, f"autoqec: claim, with {remote}"):
            return claim
        raise AutoQECError(
            f"{claim.ref} was taken here without asking {remote}, while {remote} gave it to this process",
            hint="let every process of this lab claim on the remote: claim_remote in .autoqec/config.toml",
        )
    raise AutoQECError(f"others were faster at each of {_TRIES} tries for a number of {run} on {remote}")
