"""Claims: which process works on which round. One JSON blob per round at `refs/autoqec/claims/<run>/<N>`.

A claim is open at first and closed at the end. It is the first thing that a round writes, so an interrupted round leaves
its number, owner and details. No number is ever used twice, whatever the outcome of the round.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.rounds.run_refs import load_run
from autoqec.history.store.batch_jobs import job_from, job_is_over, job_record, this_job
from autoqec.history.store.clone_id import clone_id, known_clone_id
from autoqec.history.store.json_records import decode_record, encode_record, refuse_newer, utc_now
from autoqec.history.store.objects import get_blob, persist
from autoqec.history.store.owner import process_is_alive, this_process
from autoqec.history.store.ref_listing import used_numbers
from autoqec.history.store.refs import compare_and_swap, explain_write, list_refs, target, write_lock
from autoqec.history.store.repository import Ledger, require_writable
from autoqec.json_values import JsonObject
from autoqec.size_limits import RECORD_BYTES

CLAIMS = "refs/autoqec/claims/"

_VERSION = 1
_RACES = 50  # we lose only to tools that ignore our lock, so this is many
_TYPES = {"number": int, "pid": int, "details": dict, "state": str, "attempt": str, "started": str, "host": str}
_CLONE, _JOB = "clone", "job"  # fields of the details: where the process works
_FIXED = ("run", "number", "attempt", "state", "closed", "status", "reason")  # `close_claim` sets the last four


@dataclass(frozen=True)
class Claim:
    """One round's claim.

    Attributes:
        run, number: The round.
        attempt: 32 hex digits, the same as in the trailers of the round's commit.
        state: `open` or `closed`.
        host, pid, boot_id: The process that works on it.
        started: Time of the claim, UTC.
        closed: Time of closing, UTC, or None.
        status: The outcome, such as `ok` or `train_error`, or None.
        reason: The reason for the status in words, or None.
        commit: The round's commit, or None. Once set, this field and not the branch defines the round's commit.
        details: Plain data of the caller.
        process_start: Start time of the process in ticks since boot; it tells the process from one with a reused pid.
    """

    run: str
    number: int
    attempt: str
    state: str
    host: str
    pid: int
    boot_id: str
    started: str
    closed: str | None = None
    status: str | None = None
    reason: str | None = None
    commit: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    process_start: str = ""

    @property
    def ref(self) -> str:
        """The claim's ref."""
        return f"{CLAIMS}{self.run}/{self.number}"

    @property
    def first_number(self) -> int:
        """The number at the time of the claim, as in the commit's trailers; differs from `number` if renumbered."""
        first = self.details.get("renumbered_from")
        return first if isinstance(first, int) else self.number

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds from claim to close, waiting included; None before it is closed, or if its times are damaged."""
        try:
            took = (datetime.fromisoformat(self.closed or "") - datetime.fromisoformat(self.started)).total_seconds()
        except (ValueError, TypeError):
            return None
        return took if took >= 0 else None  # anybody can write a claim

    @property
    def code(self) -> str:
        """The code of the error that ended the round; empty if none did, or it ended before errors had codes."""
        code = self._error.get("code")
        return code if isinstance(code, str) and self.state == "closed" else ""

    @property
    def about(self) -> JsonObject:
        """What that error was about."""
        about = self._error.get("about")
        return about if isinstance(about, dict) else {}

    @property
    def _error(self) -> JsonObject:
        error = self.details.get("error")
        return error if isinstance(error, dict) else {}

    @property
    def waiting(self) -> str:
        """The role whose reply the round waits for; empty if none. While it waits, no process works on it."""
        role = self.details.get("waiting")
        return role if isinstance(role, str) and self.state == "open" else ""


def claim_round(ledger: Ledger, run: str, details: JsonObject | None = None) -> Claim:
    """Claim the next free number of a run for this process.

    The number is one more than the highest number of any claim, branch, archived round or failed attempt of the run, in
    this lab or on a remote as last fetched.

    Raises:
        NotFoundError: There is no such run.
        AutoQECError: The claim is not writable.
    """
    require_writable(ledger)
    for _ in range(_RACES):
        with write_lock(ledger):
            if target(ledger, f"refs/autoqec/runs/{run}") is None:
                load_run(ledger, run)  # raises an error that lists the runs
            claim = next_claim(ledger, run, details)
            if _write(ledger, claim, old=None, message="claim"):
                return claim
    raise AutoQECError(f"another tool keeps taking the round numbers of {run}", hint="autoqec fsck")


def next_claim(ledger: Ledger, run: str, details: JsonObject | None = None) -> Claim:
    """Return a claim by this process on the next free number of a run, without writing it."""
    return Claim(
        run=run,
        number=next_number(ledger, run),
        attempt=uuid.uuid4().hex,
        state="open",
        started=utc_now(),
        details={**(details or {}), **_place(ledger)},
        **asdict(this_process()),
    )


def store_claim(ledger: Ledger, claim: Claim) -> str:
    """Store a claim's blob without a ref, and return its oid.

    Raises:
        AutoQECError: The repository is not writable.
    """
    data = encode_record({"v": _VERSION, **asdict(claim)}, name=f"the claim on {claim.run}/{claim.number}")
    with explain_write(claim.ref):
        return persist(lambda: ledger.repo.create_blob(data + b"\n"))


def read_claim(ledger: Ledger, run: str, number: int) -> Claim:
    """Return the claim of a round.

    Raises:
        NotFoundError: There is no claim.
        AutoQECError: The claim is damaged.
    """
    ref = f"{CLAIMS}{run}/{number}"
    oid = target(ledger, ref)
    if oid is None:
        raise NotFoundError(f"there is no claim on {run}/{number}", hint=f"autoqec log {run}")
    return parse_claim(get_blob(ledger, oid, name=ref, limit=RECORD_BYTES), ref=ref)


def list_claims(ledger: Ledger, run: str | None = None) -> list[Claim]:
    """Return all claims, or those of one run, sorted by run and number.

    Raises:
        AutoQECError: A claim is damaged.
    """
    prefix = CLAIMS if run is None else f"{CLAIMS}{run}/"
    found = list_refs(ledger, prefix)
    claims = [parse_claim(get_blob(ledger, oid, name=ref, limit=RECORD_BYTES), ref=ref) for ref, oid in found.items()]
    return sorted(claims, key=lambda claim: (claim.run, claim.number))


def update_claim(ledger: Ledger, claim: Claim, **changes: Any) -> Claim:
    """Write changed fields of an open claim.

    Args:
        ledger: The lab.
        claim: The claim as last read or written.
        changes: New values of `commit`, `details` or the owner's fields.

    Raises:
        AutoQECError: The claim is closed, another process has changed it, or it is not writable.
    """
    wrong = sorted(set(changes) & set(_FIXED) | set(changes) - {item.name for item in fields(Claim)})
    if wrong:
        raise TypeError(f"update_claim cannot change {', '.join(wrong)}")
    if claim.state != "open":
        raise AutoQECError(f"round {claim.run}/{claim.number} is closed ({claim.status}) and cannot change")
    changed = replace(claim, **changes)
    return claim if changed == claim else _replace(ledger, claim, changed, "update claim")


def close_claim(
    ledger: Ledger,
    claim: Claim,
    *,
    status: str,
    reason: str | None = None,
    commit: str | None = None,
    code: str = "",
    about: JsonObject | None = None,
) -> Claim:
    """Close a claim for good. Closing it again with the same values changes nothing.

    Args:
        ledger: The lab.
        claim: The claim; other changes by the same owner since it was read are kept.
        status: One lower-case word, such as `ok` or `train_error`.
        reason: The reason in words.
        commit: The round's commit, if it has one; by default the commit in the claim.
        code: The code of the error that ended the round, if one did.
        about: What that error was about.

    Raises:
        AutoQECError: The claim is closed with other values, belongs to another attempt or owner, or is not writable.
    """
    if re.fullmatch("[a-z][a-z_]{0,39}", status) is None:
        raise ValueError(f"{status!r} is not a status")
    stored = read_claim(ledger, claim.run, claim.number)
    commit = commit or stored.commit
    if stored.state == "closed":
        if (stored.attempt, stored.status, stored.reason, stored.commit) == (claim.attempt, status, reason, commit):
            return stored
        raise AutoQECError(
            f"round {claim.run}/{claim.number} was closed as {stored.status} at {stored.closed} and cannot change",
            hint=f"autoqec show exp/{claim.run}/{claim.number}",
        )
    if (stored.attempt, _owner(stored)) != (claim.attempt, _owner(claim)):
        raise _taken_over(stored)
    # Among the details, which readers of every version take as they are.
    details = {**stored.details, "error": {"code": code, "about": dict(about or {})}} if code else stored.details
    closed = replace(
        stored, state="closed", closed=utc_now(), status=status, reason=reason, commit=commit, details=details
    )
    return _replace(ledger, stored, closed, "close claim")


def take_over_claim(ledger: Ledger, claim: Claim, *, force: bool = False) -> Claim:
    """Make this process the owner of an open claim, to resume its round. The round then no longer waits for a reply.

    Args:
        ledger: The lab.
        claim: The claim as last read. If its round waits for a reply, the owner's process does not matter.
        force: Take it even if the owner may be alive, which is always so for one on another host.

    Raises:
        AutoQECError: The owner may be alive, the round is another clone's, the claim is closed, or another process took it first.
    """
    mine = asdict(this_process())
    if not force and not claim.waiting and _owner(claim) != tuple(mine.values()) and not left_behind(ledger, claim):
        if not begun_here(ledger, claim):
            raise AutoQECError(
                f"round {claim.run}/{claim.number} was begun in another clone, on {claim.host}",
                hint=f"resume it there; if that clone is gone: autoqec resume {claim.run} --force",
            )
        raise AutoQECError(
            f"process {claim.pid} on {claim.host} is working on round {claim.run}/{claim.number}",
            hint="wait for that process, or stop it first",
        )
    details = {name: value for name, value in claim.details.items() if name not in ("waiting", _CLONE, _JOB)}
    return update_claim(ledger, claim, details={**details, **_place(ledger)}, **mine)


def begun_here(ledger: Ledger, claim: Claim) -> bool:
    """Tell whether a round was begun, or last resumed, in this clone; True too for a claim that does not say where.

    What a round has in git before it is pushed is in that clone alone. If another clone carried it on, there would be two
    versions of it.
    """
    clone = claim.details.get(_CLONE)
    return not isinstance(clone, str) or clone == known_clone_id(ledger)


def left_behind(ledger: Ledger, claim: Claim) -> bool:
    """Tell whether an open round may be carried on here: it was begun in this clone, and its process has certainly ended.

    If the process was on another host, the batch system is asked, provided that it was part of a job.
    """
    if not begun_here(ledger, claim):
        return False
    if not owner_alive(claim):
        return True
    job = job_from(claim.details.get(_JOB))
    return claim.host != this_process().host and _CLONE in claim.details and job is not None and job_is_over(job)


def _place(ledger: Ledger) -> dict[str, Any]:
    """Where this process works, for the details of a claim: its clone, and its job if it is part of one."""
    clone, job = clone_id(ledger), this_job()
    return ({_CLONE: clone} if clone else {}) | ({_JOB: job_record(job)} if job is not None else {})


def owner_alive(claim: Claim) -> bool:
    """Tell whether the claim's process may still be alive; a process on another host always counts as alive."""
    return process_is_alive(claim.host, claim.pid, claim.boot_id, claim.process_start)


def parse_claim(data: bytes, *, ref: str) -> Claim:
    """Parse a claim's blob.

    Raises:
        AutoQECError: The blob is damaged, has a newer version, or belongs to another ref.
    """
    record = decode_record(data, name=ref)
    refuse_newer(record.pop("v", None), _VERSION, name=ref)
    try:
        claim = Claim(**record)
    except TypeError as error:
        raise AutoQECError(f"{ref} is damaged: {error}", hint="autoqec fsck") from error
    for name, kind in _TYPES.items():
        if not isinstance(getattr(claim, name), kind):
            raise AutoQECError(f"{ref} is damaged: {name} is not of type {kind.__name__}", hint="autoqec fsck")
    for name in ("commit", "status", "reason", "closed"):
        if getattr(claim, name) is not None and not isinstance(getattr(claim, name), str):
            raise AutoQECError(f"{ref} is damaged: {name} is neither text nor null", hint="autoqec fsck")
    if claim.ref != ref:
        raise AutoQECError(f"{ref} holds the claim of {claim.run}/{claim.number}", hint="autoqec fsck")
    return claim


def _owner(claim: Claim) -> tuple[str, int, str, str]:
    return claim.host, claim.pid, claim.boot_id, claim.process_start


def next_number(ledger: Ledger, run: str) -> int:
    """Return the next unused number of a run, in this lab and on remotes as last fetched."""
    return 1 + max(used_numbers(ledger.git_dir, run, ("exp", "claims", "rounds", "attempts")), default=0)


def _write(ledger: Ledger, claim: Claim, *, old: str | None, message: str) -> bool:
    return compare_and_swap(ledger, claim.ref, old, store_claim(ledger, claim), f"autoqec: {message}")


def _replace(ledger: Ledger, before: Claim, after: Claim, message: str) -> Claim:
    with write_lock(ledger):
        old = target(ledger, before.ref)
        stored = read_claim(ledger, before.run, before.number)
        if stored != before or not _write(ledger, after, old=old, message=message):
            raise _taken_over(stored)
    return after


def _taken_over(stored: Claim) -> AutoQECError:
    return AutoQECError(
        f"the claim on {stored.run}/{stored.number} has changed: process {stored.pid} on {stored.host} owns it",
        hint="run autoqec resume once that process has ended",
    )
