"""Renumbers local rounds that were never shared and whose numbers a remote gave to other rounds.

No commit changes. A round's notes, its children's parents and the keys of its verdicts all name its commit, so a new number
only changes ref names: every ref of the round moves from N to N' in one transaction. The commit's trailers keep the old
number, so the claim records it (`details.renumbered_from`).

All unshared rounds from the first collision on get numbers above every number in use, so a round still has a higher number
than its ancestors. Reports of failed attempts, and claims of what their rounds see, name rounds by number; these are updated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from autoqec.errors import AutoQECError
from autoqec.history.reading.round_record import REPORT_FILES
from autoqec.history.rounds.attachments import KINDS
from autoqec.history.rounds.claims import CLAIMS, Claim, list_claims, next_number, parse_claim, store_claim
from autoqec.history.rounds.round_commits import branch_name
from autoqec.history.rounds.round_numbers import renumbered_details
from autoqec.history.store.git_program import TRACKING, Remote
from autoqec.history.store.objects import build_tree, get_blob, list_files, read_files, write_blobs, write_commit
from autoqec.history.store.ref_moves import move_at_once
from autoqec.history.store.refs import explain_write, list_refs, write_lock
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.archived_branches import checked_out
from autoqec.history.sync.joining import SHARED, join
from autoqec.history.sync.uniting import lacking
from autoqec.size_limits import RECORD_BYTES

_NUMBERED = {kind: SHARED[kind] for kind in ("claims", "exp", "rounds", *KINDS)}


def renumber(ledger: Ledger, remote: Remote, run: str | None = None) -> dict[str, str]:
    """Give new numbers to local rounds whose numbers belong to other rounds on a remote, as last fetched.

    Args:
        ledger: The lab.
        remote: The remote, which has none of these rounds.
        run: Only this run.

    Returns:
        The new name of each round, by its old name.

    Raises:
        AutoQECError: A round is open, checked out, or on another remote under its number; nothing was changed.
    """
    renamed: dict[str, str] = {}
    with write_lock(ledger):
        mine: dict[str, dict[int, Claim]] = {}
        for claim in list_claims(ledger, run):
            mine.setdefault(claim.run, {})[claim.number] = claim
        for name, claims in mine.items():
            theirs = _attempts_on(ledger, f"{remote.tracking}claims/{name}/")
            if any(theirs.get(number, claim.attempt) != claim.attempt for number, claim in claims.items()):
                renamed |= _renumber_run(ledger, remote, name, claims, theirs)
    return renamed


def _renumber_run(
    ledger: Ledger, remote: Remote, run: str, claims: Mapping[int, Claim], theirs: Mapping[int, str]
) -> dict[str, str]:
    unshared = {number: claim for number, claim in claims.items() if theirs.get(number) != claim.attempt}
    first = min(number for number in unshared if number in theirs)
    moving = {number: claim for number, claim in sorted(unshared.items()) if number >= first}
    _refuse(ledger, remote, unshared, moving)
    known = {attempt: number for number, attempt in theirs.items()}  # another clone may have renumbered a round already
    free = count(next_number(ledger, run))
    numbers = {old: known.get(claim.attempt) or next(free) for old, claim in moving.items()}
    names = {f"{run}/{old}": f"{run}/{new}" for old, new in numbers.items()}
    tracked = list_refs(ledger, remote.tracking)
    refs = list_refs(ledger, *(f"{prefix}{run}/" for prefix in _NUMBERED.values()))
    moves: dict[str, tuple[str | None, str | None]] = {}
    for old, claim in moving.items():
        new_number = numbers[old]
        # The trailers keep the very first number; a round sees only rounds before it, so whoever names one that moves moves too.
        details = {"renumbered_from": old, **renumbered_details(claim.details, numbers)}
        for kind, prefix in _NUMBERED.items():
            held, ref = refs.get(f"{prefix}{run}/{old}"), f"{prefix}{run}/{new_number}"
            if held is None:
                continue
            new = there = tracked.get(f"{remote.tracking}{kind}/{run}/{new_number}")
            if kind == "claims" and there is None:
                new = store_claim(ledger, replace(claim, number=new_number, details=details))
            elif kind != "claims":
                new = _renumbered(ledger, kind, ref, held, there, names)
            moves[f"{prefix}{run}/{old}"] = (held, None)
            moves[ref] = (refs.get(ref), new)
    if not move_at_once(ledger, moves, f"renumber, for {remote.name}"):
        raise AutoQECError(f"another tool keeps moving the rounds of {run}", hint="run autoqec pull --renumber again")
    return names


def _refuse(ledger: Ledger, remote: Remote, unshared: Mapping[int, Claim], moving: Mapping[int, Claim]) -> None:
    standing = checked_out(ledger)
    for claim in unshared.values():
        if claim.state == "open":  # it may fork from a round by its number
            raise AutoQECError(
                f"round {claim.run}/{claim.number} is not closed yet, so nothing was renumbered",
                hint=f"autoqec resume {claim.run}",
            )
    for claim in moving.values():
        branch = branch_name(claim.run, claim.number)
        if f"refs/heads/{branch}" in standing:
            raise AutoQECError(
                f"{branch} is checked out, so nothing was renumbered", hint="git switch <another branch>"
            )
    for ref, oid in sorted(list_refs(ledger, TRACKING).items()):
        if ref.startswith(remote.tracking):
            continue
        other, _, place = ref.removeprefix(TRACKING).partition("/claims/")
        shared = next((claim for claim in moving.values() if place == f"{claim.run}/{claim.number}"), None)
        if shared is not None and _attempt(ledger, ref, oid) == shared.attempt:
            raise AutoQECError(
                f"{other} already has round {shared.run}/{shared.number} under that number, so nothing was renumbered",
                hint=f"use a separate run for {remote.name}: autoqec round --new",
            )


def _attempts_on(ledger: Ledger, prefix: str) -> dict[int, str]:
    """Return the attempt id of each number of a run, from claims below a prefix; damaged claims are skipped."""
    found = {}
    for ref, oid in list_refs(ledger, prefix).items():
        number = ref.removeprefix(prefix)
        attempt = _attempt(ledger, ref, oid) if number.isdecimal() else None
        if attempt is not None:
            found[int(number)] = attempt
    return found


def _attempt(ledger: Ledger, ref: str, oid: str) -> str | None:
    try:
        place = CLAIMS + "/".join(ref.split("/")[-2:])
        return parse_claim(get_blob(ledger, oid, name=ref, limit=RECORD_BYTES), ref=place).attempt
    except AutoQECError:
        return None


def _renumbered(ledger: Ledger, kind: str, ref: str, held: str, there: str | None, names: Mapping[str, str]) -> str:
    """Return the new value of a round's ref, joined with that of a clone that has renumbered the round already."""
    new = _reported(ledger, ref, held, names) if kind == "attempts" else held
    if there in (None, held, new):
        return new
    if kind == "attempts" and ledger.repo.descendant_of(there, held) and not any(lacking(ledger, kind, new, there)):
        return str(there)  # the same names, in a commit of its own
    return join(ledger, kind, ref, new, str(there), None)


def _reported(ledger: Ledger, name: str, held: str, names: Mapping[str, str]) -> str:
    """Commit the report of a failed attempt with the new names in `fork_from`, on top of the original report."""
    files = read_files(ledger, held, any_case=True)
    changed: dict[str, bytes] = {}
    for path in REPORT_FILES:
        report = json.loads(files[path]) if path in files else {}
        old = report.get("fork_from", [])
        new = [names.get(str(parent).removeprefix("exp/"), parent) for parent in old]
        if new != old:
            data = json.dumps({**report, "fork_from": new}, indent=1, sort_keys=True).encode() + b"\n"
            changed[path] = data
    if not changed:
        return held
    with explain_write(f"the report of {name}"):
        tree = build_tree(ledger, {**list_files(ledger, held), **write_blobs(ledger, changed)})
        return write_commit(ledger, f"attempts of {name}, renumbered\n", tree, [held])
