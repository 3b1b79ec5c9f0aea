"""One round as a plain record: refs, commit message, claim, notes, and the problems found in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pygit2

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.reading.snapshot import ATTEMPTS, Found, tip
from autoqec.history.rounds.claims import CLAIMS, Claim, owner_alive, parse_claim
from autoqec.history.rounds.notes import NoteLine, Record
from autoqec.history.rounds.round_commits import branch_name
from autoqec.history.rounds.trailers import RoundIdentity, parse_round_message
from autoqec.history.store.json_records import decode_record
from autoqec.history.store.objects import TooLargeError, entry_at, get_blob, get_commit, require_size
from autoqec.history.store.repository import Ledger, resolve_commit
from autoqec.results.note_lines import Line
from autoqec.size_limits import BLOB_BYTES, RECORD_BYTES

if TYPE_CHECKING:  # the rules of trust are loaded when records are read
    from autoqec.history.reading.trusted_notes import RunTrust
    from autoqec.results.trust.line_trust import Standing

REPORT_FILES = ("conflict/report.json", "report.json")

_T = TypeVar("_T")

#: The last second of the year 9999; no later one has a date here.
_LAST_SECOND = 253_402_300_799


@dataclass(frozen=True)
class RoundRecord:
    """All that the repository records about one round.

    Attributes:
        run, number: The round.
        branch: `exp/<run>/<N>`, whether or not it exists.
        commit: The round's commit, or None if it has none (yet).
        parents: That commit's parents.
        identity: The contents of its trailers; None if there is no commit or they are not readable.
        subject, body: The commit's text for people; empty in the same cases.
        time: Seconds since 1970: of the commit, else of the claim, else 0.
        claim: Its claim, or None (a clone without claims).
        metrics, analysis, verdict: The record that counts of each kind, or None.
        conflict: The report of a failed composition, or None.
        problems: Damage and contradictions, a sentence each.
        environment: The name and identity of the run's environment, or None if this lab lacks the run's record. The environment
            in the trailers decides nothing.
        standings: What each line of the verdict note is worth.
        trust: That of the verdict that counts, or else of the one that comes nearest to it; None if there is no verdict.
        notices: Lines of its notes that do not count, and contradictions among those that do, a sentence each.
    """

    run: str
    number: int
    branch: str
    commit: str | None
    parents: tuple[str, ...]
    identity: RoundIdentity | None
    subject: str
    body: str
    time: int
    claim: Claim | None
    metrics: Record | None
    analysis: Record | None
    verdict: Record | None
    conflict: dict[str, Any] | None
    problems: tuple[str, ...]
    environment: tuple[str, str] | None = None
    standings: tuple[Standing, ...] = ()
    trust: Standing | None = None
    notices: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """The claim's status if closed; else `open`, `waiting` (for a reply from outside), `interrupted` (its process has
        ended), or `unknown` (no claim).
        """
        if self.claim is None:
            return "unknown"
        if self.claim.state == "closed":
            return self.claim.status or "unknown"
        if self.claim.waiting:
            return "waiting"
        return "open" if owner_alive(self.claim) else "interrupted"


@dataclass(frozen=True)
class RunNotes:
    """A run's notes, and the problems found in them."""

    by_kind: dict[str, dict[str, list[NoteLine]]]
    problems: tuple[str, ...]  # each about one note
    general: tuple[str, ...]  # about all notes
    environment: tuple[str, str] | None  # name and identity, from the run's own record

    def on(self, commit: str) -> dict[str, list[Line]]:
        """Return the lines on a commit by kind."""
        return {
            kind: [Line(line.digest, line.record) for line in by_commit.get(commit, ())]
            for kind, by_commit in self.by_kind.items()
        }


def claim_of(ledger: Ledger, run: str, number: int, found: Found) -> tuple[Claim | None, list[str]]:
    """Return the claim on a round (None if absent or unreadable) and its problems."""
    problems: list[str] = []
    if CLAIMS not in found:
        return None, problems
    ref = f"{CLAIMS}{run}/{number}"
    return tried(
        lambda: parse_claim(get_blob(ledger, found[CLAIMS], name=ref, limit=RECORD_BYTES), ref=ref), problems
    ), problems


def make_record(
    ledger: Ledger,
    name: tuple[str, int],
    found: Found,
    claim: Claim | None,
    problems: list[str],
    oid: str | None,
    notes: RunNotes,
    trust: RunTrust,
) -> RoundRecord:
    """Assemble the record of a round.

    Args:
        ledger: The lab.
        name: Its run and number.
        found: Its refs.
        claim: Its claim.
        problems: Problems found so far.
        oid: Its commit according to claim and refs.
        notes: Notes of its run; at least those of this round.
        trust: Rules on them.
    """
    run, number = name
    held = tip(found)
    if held is not None and oid != held:
        problems.append(
            f"{branch_name(run, number)} has moved from {str(oid)[:10]}, the round's commit, to {held[:10]}"
        )
    commit = tried(lambda: get_commit(ledger, oid), problems) if oid is not None else None
    identity, subject, body = _read_message(name, commit, claim, problems)
    if identity is not None and notes.environment is not None and _env_id(identity) != notes.environment[1]:
        problems.append(
            f"its trailers name the environment {identity.env[:80]}, but the run has"
            f" {notes.environment[0]}@sha256:{notes.environment[1][:12]}"
        )
    numbers = {number, *((identity.round,) if identity else ())}
    about = trust.read(oid or "", numbers, identity.attempt if identity else None, notes.on(oid or ""))
    problems += [problem for problem in notes.problems if oid is not None and f"on {oid[:10]}" in problem]
    problems += notes.general
    return RoundRecord(
        run=run,
        number=number,
        branch=branch_name(run, number),
        commit=oid,
        parents=tuple(str(parent) for parent in commit.parent_ids) if commit else (),
        identity=identity,
        subject=subject,
        body=body,
        time=_dated(commit.commit_time) if commit else _seconds(claim.started if claim else ""),
        claim=claim,
        metrics=about.metrics,
        analysis=about.analysis,
        verdict=about.verdict,
        conflict=_report(ledger, found.get(ATTEMPTS), problems),
        problems=tuple(problems),
        environment=notes.environment,
        standings=about.ruling.standings,
        trust=about.ruling.shown,
        notices=about.notices,
    )


def _env_id(identity: RoundIdentity) -> str:
    return identity.env.rpartition(":")[2]


def _read_message(
    name: tuple[str, int], commit: pygit2.Commit | None, claim: Claim | None, problems: list[str]
) -> tuple[RoundIdentity | None, str, str]:
    if commit is None:
        return None, "", ""
    message = commit.raw_message.decode(errors="replace")
    parsed = tried(lambda: parse_round_message(message), problems)
    if parsed is None:
        return None, "", ""
    identity = parsed[0]
    if (identity.run, identity.round) != (name[0], claim.first_number if claim else name[1]):
        problems.append(f"its trailers say that it is {identity.run}/{identity.round}")
    if claim is not None and claim.attempt != identity.attempt:
        problems.append("its trailers and its claim name different attempts")
    return parsed


def _report(ledger: Ledger, oid: str | None, problems: list[str]) -> dict[str, Any] | None:
    for path in REPORT_FILES if oid is not None else ():
        if file_at(ledger, str(oid), path) is not None:
            return tried(partial(record_at, ledger, str(oid), path), problems)
    return None


def file_at(ledger: Ledger, commit: str, path: str) -> pygit2.Blob | None:
    """Return a file of a commit, or None if the file or the commit is missing."""
    try:
        found = entry_at(ledger, get_commit(ledger, commit).tree, path)
    except (KeyError, NotFoundError, TooLargeError, pygit2.GitError):
        return None
    return found if isinstance(found, pygit2.Blob) else None


def record_at(ledger: Ledger, commit: str, path: str) -> dict[str, Any] | None:
    """Return the JSON record in a file of a commit, or None if the file or the commit is missing.

    Raises:
        AutoQECError: It is no record, or over the limit.
    """
    blob = file_at(ledger, commit, path)
    return None if blob is None else decode_record(_data(ledger, blob, path), name=path)


def _data(ledger: Ledger, blob: pygit2.Blob, name: str, limit: int = RECORD_BYTES) -> bytes:
    require_size(ledger, blob.id, limit, name)
    return bytes(blob.data)


def read_committed(ledger: Ledger, revision: str, path: str) -> bytes | None:
    """Return the contents of a file at a revision such as `HEAD`; None if there is no such file or revision."""
    try:
        blob = file_at(ledger, resolve_commit(ledger, revision), path)
    except NotFoundError:
        return None
    return None if blob is None else _data(ledger, blob, path, BLOB_BYTES)


def tried(read: Callable[[], _T], problems: list[str]) -> _T | None:
    """Return the result of `read`; if it raises, return None and add the error to `problems`."""
    try:
        return read()
    except AutoQECError as error:
        problems.append(error.problem)
        return None
    except pygit2.GitError as error:
        problems.append(f"an object is missing or damaged: {error}")  # as in a partial clone
        return None


def _seconds(stamp: str) -> int:
    try:
        return int(datetime.fromisoformat(stamp).timestamp())
    except (ValueError, OverflowError):
        return 0


def _dated(seconds: int) -> int:
    """A commit's time as a date can say it: anybody can write a commit of any time."""
    return min(max(seconds, 0), _LAST_SECOND)
