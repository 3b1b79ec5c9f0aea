"""Claims of rounds in a run that several clones share: the remote decides, because it accepts each number only once.

The claim goes to the remote before it is written in this lab. A kill in between looks like an interrupted round: all clones
see a claim that nobody works on. The other order could let two clones claim the same number.
"""

from __future__ import annotations

from autoqec.errors import AutoQECError
from autoqec.history.rounds.claims import Claim, next_claim, store_claim
from autoqec.history.rounds.run_refs import RUNS, load_run
from autoqec.history.store.git_program import LostRaceError, RemoteUnreachableError, find_remote, pause, push_refs
from autoqec.history.store.refs import compare_and_swap, target
from autoqec.history.store.repository import Ledger, require_writable
from autoqec.history.sync.push_pull import fetch_kinds, remember
from autoqec.json_values import JsonObject

_TRIES = 50


def claim_shared_round(ledger: Ledger, run: str, remote: str, details: JsonObject | None = None) -> Claim:
    """Claim the next number of a run that is free both in this lab and on a remote.

    Args:
        ledger: The lab.
        run: The run; it is pushed to the remote if absent there.
        remote: A configured remote's name, a URL, or the path of a repository, the same for all clones.
        details: Plain data to store in the claim.

    Raises:
        NotFoundError: There is no such run or remote.
        AutoQECError: The remote is unreachable, refuses the claim, or has another run of that name.
    """
    require_writable(ledger)
    load_run(ledger, run)
    there = find_remote(ledger, remote)
    shared = RUNS + run
    claim, oid, unanswered = None, "", False
    for attempt in range(_TRIES):
        fetch_kinds(ledger, there, run, ("runs", "claims", "exp", "rounds", "attempts"))
        mine, theirs = str(target(ledger, shared)), target(ledger, f"{there.tracking}runs/{run}")
        if theirs not in (None, mine):
            raise AutoQECError(
                f"{remote} has another run named {run}: {shared} is {mine} here but {theirs} there",
                hint="start a run with a new name: autoqec round --new",
            )
        if claim is not None and target(ledger, f"{there.tracking}claims/{run}/{claim.number}") == oid:
            return _written(ledger, claim, oid, remote)  # the remote took it, and its answer got lost
        claim = next_claim(ledger, run, details)  # takes the fetched refs into account
        oid = store_claim(ledger, claim)
        refs = [(claim.ref, oid)] if theirs else [(shared, mine), (claim.ref, oid)]
        try:
            push_refs(ledger, there, [f"{value}:{ref}" for ref, value in refs], leases=[(claim.ref, "")])
        except LostRaceError:
            pause(attempt)
            continue
        except RemoteUnreachableError:
            if unanswered:
                raise
            unanswered = True
            pause(attempt)
            continue
        remember(ledger, there, dict(refs))
        return _written(ledger, claim, oid, remote)
    raise AutoQECError(f"other clones won each of {_TRIES} races for a round number of {run} on {remote}")


def _written(ledger: Ledger, claim: Claim, oid: str, remote: str) -> Claim:
    """Write a claim that the remote has accepted in this lab, and return it."""
    # A pull by another process of this clone may have brought it already.
    if (
        compare_and_swap(ledger, claim.ref, None, oid, f"autoqec: claim, with {remote}")
        or target(ledger, claim.ref) == oid
    ):
        return claim
    raise AutoQECError(
        f"another process of this lab has claimed {claim.ref} without {remote}, while {remote} accepted our claim",
        hint="make every process of this lab claim on the remote: set claim_remote in ~/.config/autoqec/config.toml",
    )
