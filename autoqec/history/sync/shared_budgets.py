"""Numbers that spend an error budget which several clones share: the remote accepts each number only once.

A verification has a number in its run, and on recorded shots a look has one at the recording. A clone does not know the intents
that others note at the same time. Two of them would take one number and spend its share twice: with a hundred clones, more than
the whole budget. So a number is a ref on the remote before the intent is noted here. A kill in between leaves a number that
nobody uses, and its share counts as spent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection

from autoqec.errors import AutoQECError
from autoqec.history.store.git_program import LostRaceError, fetch, find_remote, pause, push_refs
from autoqec.history.store.objects import persist
from autoqec.history.store.ref_listing import numbers_in
from autoqec.history.store.refs import explain_write, list_refs
from autoqec.history.store.repository import Ledger

#: Below it is a ref for each number that a clone took: of attempts by run, of looks by recording. They are on the remote alone.
#: Each points to contents of its own: a push of what is there already would be no race to git.
_TAKEN = "refs/autoqec/taken/"

_TRIES = 200


def attempts_of(run: str) -> str:
    """The series of the verifications of a run."""
    return f"attempts/{run}"


def looks_of(recording: str) -> str:
    """The series of the looks at a recording, by its digest."""
    return f"looks/{recording}"


def take_shared_number(
    ledger: Ledger, run: str, remote: str, series: str, following: Callable[[Collection[int]], int | None]
) -> int | None:
    """Take a number that no other clone takes.

    Args:
        ledger: The lab.
        run: The run that it is for; it need not be on the remote.
        remote: A configured remote's name, a URL, or the path of a repository, the same for all clones.
        series: Of which it is: `attempts_of` or `looks_of`.
        following: The number that follows from those that were taken on the remote; None if the budget is spent.

    Returns:
        The number; None if the budget is spent.

    Raises:
        NotFoundError: There is no such remote.
        AutoQECError: The remote is unreachable or refuses the number.
    """
    there, mine = find_remote(ledger, remote), _contents(ledger, run)
    for attempt in range(_TRIES):
        fetch(ledger, there, [(f"{_TAKEN}{series}/*", f"taken/{series}/*")])
        taken = numbers_in(ref.rpartition("/")[2] for ref in list_refs(ledger, f"{there.tracking}taken/{series}/"))
        number = following(taken)
        if number is None:
            return None
        ref = f"{_TAKEN}{series}/{number}"
        try:
            push_refs(ledger, there, [f"{mine}:{ref}"], leases=[(ref, "")])
        except LostRaceError:
            pause(attempt)
            continue
        return number
    raise AutoQECError(f"other clones won each of {_TRIES} races for a number below {_TAKEN}{series} on {remote}")


def _contents(ledger: Ledger, run: str) -> str:
    """Store a blob that no other process has, and return its oid."""
    data = f"taken for a verification of {run}: {uuid.uuid4().hex}\n".encode()
    with explain_write(_TAKEN):
        return persist(lambda: ledger.repo.create_blob(data))
