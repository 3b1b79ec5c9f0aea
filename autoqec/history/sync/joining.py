"""Joins two clones' versions of one ref: growing kinds merge by union, fixed kinds must agree, a closed claim wins.

Nothing recorded here disappears, whatever the other version has or lacks, even where it descends from ours. A join depends
only on the two versions, including the oid of its commit. So two clones that independently join the same two versions get
the same commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from autoqec.errors import AutoQECError
from autoqec.history.rounds.attachments import KINDS as GROWING
from autoqec.history.rounds.claims import Claim, parse_claim
from autoqec.history.rounds.notes import NOTE_KINDS, NOTES
from autoqec.history.store.dropped_refs import REF_KINDS
from autoqec.history.store.objects import get_blob, get_commit
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.uniting import unite
from autoqec.size_limits import RECORD_BYTES

#: The shared kinds of refs, with their prefixes, in the order of writing: if it stops early, the record is still consistent.
SHARED: Mapping[str, str] = {**REF_KINDS, "notes": NOTES}

_RUN = "([a-z0-9][a-z0-9-]{0,39})"
_NUMBERED = re.compile(f"{_RUN}/[1-9][0-9]{{0,8}}")
_NAMES = {
    "runs": re.compile(_RUN),
    "notes": re.compile(f"{_RUN}/(?:{'|'.join(NOTE_KINDS)})"),
}


class NumberTakenError(AutoQECError):
    """Two clones gave one number to two rounds."""

    code = "number_taken"


def shared_kinds(artifacts: bool) -> list[str]:
    """Return the shared kinds, with or without trained weights."""
    return [kind for kind in SHARED if artifacts or kind != "artifacts"]


def run_of(kind: str, name: str) -> str | None:
    """Return the run of a shared ref, from its name after the prefix; None if it is not an autoqec ref."""
    match = _NAMES.get(kind, _NUMBERED).fullmatch(name)
    return match[1] if match else None


def join(ledger: Ledger, kind: str, ref: str, mine: str | None, theirs: str, known: str | None) -> str:
    """Return the new value of a ref, given its values in this lab and on a remote.

    Args:
        ledger: The lab; it has the objects of both versions.
        kind: A key of `SHARED`.
        ref: The ref's full name.
        mine: Its oid in this lab; None if absent.
        theirs: Its oid on the remote.
        known: Its oid on the remote before the last fetch, or None.

    Returns:
        `mine` if the remote has nothing new, `theirs` if it has everything of ours, else the oid of a new commit with both
        as parents.

    Raises:
        AutoQECError: The two contradict each other, or one is damaged.
    """
    if kind == "claims":
        return _join_claims(ledger, ref, mine, theirs, known)
    if mine == theirs:
        return mine
    get_commit(ledger, theirs)
    if mine is None:
        return theirs
    if kind in ("notes", *GROWING):
        return unite(ledger, kind, ref, mine, theirs)
    raise AutoQECError(f"{ref} is {mine} here but {theirs} there, and such a ref never changes")


def _join_claims(ledger: Ledger, ref: str, mine: str | None, theirs: str, known: str | None) -> str:
    other = parse_claim(get_blob(ledger, theirs, name=ref, limit=RECORD_BYTES), ref=ref)
    if mine in (None, theirs):
        return theirs
    claim = parse_claim(get_blob(ledger, str(mine), name=ref, limit=RECORD_BYTES), ref=ref)
    if claim.attempt != other.attempt:
        raise NumberTakenError(
            f"{ref} is {mine} here but {theirs} there: two clones used the same number for different rounds"
        )
    if claim.state == other.state == "closed":
        raise AutoQECError(
            f"{ref} was closed differently: {mine} here ({claim.status}), {theirs} there ({other.status})"
        )
    if None not in (claim.commit, other.commit) and claim.commit != other.commit:
        raise AutoQECError(
            f"{ref} is {mine} here but {theirs} there, with different commits: {claim.commit} and {other.commit}"
        )
    if _progress(claim) != _progress(other):  # a claim never reopens, and never loses its commit
        return theirs if _progress(other) > _progress(claim) else str(mine)
    return theirs if known == mine else str(mine)  # if only one side has changed it, that side's


def _progress(claim: Claim) -> tuple[bool, bool]:
    return claim.state == "closed", claim.commit is not None
