"""Weights of one round of a run that several clones share, fetched when a round needs them.

A push sends the weights that this clone trained; a pull leaves out those of others, because most are never read here.
"""

from __future__ import annotations

from autoqec.errors import AutoQECError
from autoqec.history.rounds.attachments import WEIGHTS_FILE, has_attachment
from autoqec.history.store.git_program import fetch, find_remote
from autoqec.history.store.ref_moves import move
from autoqec.history.store.refs import target, write_lock
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.joining import SHARED, join

#: What git says of a ref that the remote lacks.
_NO_SUCH_REF = "couldn't find remote ref"


def fetch_weights(ledger: Ledger, remote: str, run: str, number: int) -> bool:
    """Fetch a round's weights, unless they are here.

    Args:
        ledger: The lab.
        remote: A configured remote's name, a URL, or the path of a repository.
        run, number: The round.

    Returns:
        Whether they are here now; False if the remote has none.

    Raises:
        NotFoundError: There is no such remote.
        AutoQECError: The remote is unreachable, or what it has contradicts what is here.
    """
    if has_attachment(ledger, "artifacts", run, number, WEIGHTS_FILE):
        return True
    there, name = find_remote(ledger, remote), f"{run}/{number}"
    ref = SHARED["artifacts"] + name
    try:
        fetch(ledger, there, [(ref, f"artifacts/{name}")])
    except AutoQECError as error:
        if _NO_SUCH_REF in error.problem:
            return False
        raise
    theirs = target(ledger, f"{there.tracking}artifacts/{name}")
    if theirs is not None:
        with write_lock(ledger):
            mine = target(ledger, ref)
            move(ledger, {ref: (mine, join(ledger, "artifacts", ref, mine, theirs, None))}, f"weights from {remote}")
    return has_attachment(ledger, "artifacts", run, number, WEIGHTS_FILE)
