"""The history as plain records, for all that shows or learns from it: one listing of refs, one walk per note tree.

Nothing here writes, locks or raises on damaged records: what cannot be read is said in a record's `problems`, because
a log that refuses to show 99 rounds on account of the hundredth helps nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pygit2

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.claims import CLAIMS, Claim, owner_alive, parse_claim
from autoqec.history.notes import NOTE_KINDS, Record, effective, read_notes
from autoqec.history.objects import get_blob, get_commit
from autoqec.history.records import decode_record
from autoqec.history.refs import list_refs
from autoqec.history.repository import Ledger
from autoqec.history.rounds import ARCHIVE, BRANCHES, branch_name
from autoqec.history.runs import RUNS, check_run_name, load_run
from autoqec.history.trailers import RoundIdentity, parse_round_message

ARTIFACTS = "refs/autoqec/artifacts/"
ATTEMPTS = "refs/autoqec/attempts/"
WEIGHTS_FILE = "weights.safetensors"
REPORT_FILES = ("conflict/report.json", "report.json")

_NUMBERED = re.compile("([a-z0-9][a-z0-9-]{0,39})/([1-9][0-9]{0,8})")
_Name = tuple[str, int]
_T = TypeVar("_T")


@dataclass(frozen=True)
class RoundRecord:
    """All that the repository says of one round.

    Attributes:
        run, number: Which round.
        branch: `exp/<run>/<N>`, whether or not it exists.
        commit: The round's commit, or None if it has none (yet).
        parents: That commit's parents.
        identity: What its trailers say; None if there is no commit or they cannot be read.
        subject, body: What it says for people; empty likewise.
        time: Seconds since 1970: of the commit, else of the claim, else 0.
        claim: The claim on it, or None (a clone without claims).
        metrics, analysis, verdict: The record of each kind that counts, or None.
        has_weights: Whether trained weights are stored.
        conflict: The report of a failed composition, or None.
        problems: What is damaged or contradicts itself, a sentence each.
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
    has_weights: bool
    conflict: dict[str, Any] | None
    problems: tuple[str, ...]

    @property
    def status(self) -> str:
        """The claim's status if closed; else `open`, `interrupted` (its process is gone), `unknown` (no claim)."""
        if self.claim is None:
            return "unknown"
        if self.claim.state == "closed":
            return self.claim.status or "unknown"
        return "open" if owner_alive(self.claim) else "interrupted"


def read_history(ledger: Ledger, run: str | None = None) -> list[RoundRecord]:
    """All rounds, or those of one run, sorted by the run's creation and then by number.

    Raises:
        NotFoundError: There is no such run.
    """
    refs = list_refs(ledger, "refs/")
    rounds = _collect(refs)
    if run is not None:
        rounds = {name: found for name, found in rounds.items() if name[0] == run}
        if not rounds and RUNS + run not in refs:
            load_run(ledger, run)  # raises, and says what there is
    notes = {name: _notes_of(ledger, name) for name in {name for name, _ in rounds}}
    records = [_record(ledger, name, found, notes[name[0]]) for name, found in rounds.items()]
    created = {name: _created(ledger, refs.get(RUNS + name)) for name in notes}
    first = {record.run: record.time for record in sorted(records, key=lambda record: -record.number)}
    return sorted(records, key=lambda r: (created[r.run] or _iso(first[r.run]), r.run, r.number))


def find_record(ledger: Ledger, run: str, number: int) -> RoundRecord:
    """The record of one round.

    Raises:
        UsageError: The run's name is none.
        NotFoundError: There is no such run or round; names what there is.
    """
    check_run_name(run)
    records = read_history(ledger, run)
    for record in records:
        if record.number == number:
            return record
    numbers = [record.number for record in records]
    there = f"it has rounds {numbers[0]} to {numbers[-1]}" if numbers else "it has no rounds yet"
    raise NotFoundError(f"there is no round {run}/{number}; {there}", mend=f"autoqec log {run}")


@dataclass(frozen=True)
class _Notes:
    by_kind: dict[str, dict[str, list[Record]]]
    problems: tuple[str, ...]  # of one note each
    general: tuple[str, ...]  # of all of them


def _collect(refs: dict[str, str]) -> dict[_Name, dict[str, str]]:
    """Every round that any ref speaks of, with the oid each kind of ref holds for it."""
    rounds: dict[_Name, dict[str, str]] = {}
    for prefix in (BRANCHES, ARCHIVE, CLAIMS, ATTEMPTS, ARTIFACTS):
        for ref, oid in refs.items():
            if ref.startswith(prefix) and (match := _NUMBERED.fullmatch(ref, len(prefix))):
                rounds.setdefault((match[1], int(match[2])), {})[prefix] = oid
    # Weights alone are not a round; they are what an interrupted prune leaves.
    return {name: found for name, found in rounds.items() if found.keys() != {ARTIFACTS}}


def _notes_of(ledger: Ledger, run: str) -> _Notes:
    problems: list[str] = []
    general: list[str] = []
    by_kind: dict[str, dict[str, list[Record]]] = {}
    for kind in NOTE_KINDS:
        notes = _try(partial(read_notes, ledger, run, kind, strict=False, problems=problems), general)
        by_kind[kind] = notes or {}
    return _Notes(by_kind, tuple(problems), tuple(general))


def _record(ledger: Ledger, name: _Name, found: dict[str, str], notes: _Notes) -> RoundRecord:
    run, number = name
    problems: list[str] = []
    claim: Claim | None = None
    if CLAIMS in found:
        ref = f"{CLAIMS}{run}/{number}"
        claim = _try(lambda: parse_claim(get_blob(ledger, found[CLAIMS], name=ref), ref=ref), problems)
    tip = found.get(BRANCHES) or found.get(ARCHIVE)
    oid = (claim.commit if claim else None) or tip
    if tip is not None and oid != tip:
        problems.append(f"{branch_name(run, number)} has moved from {str(oid)[:10]}, the round's commit, to {tip[:10]}")
    commit = _try(lambda: get_commit(ledger, oid), problems) if oid is not None else None
    identity, subject, body = _read_message(name, commit, claim, problems)
    about = {kind: effective(by_commit.get(oid or "", [])) for kind, by_commit in notes.by_kind.items()}
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
        time=commit.commit_time if commit else _seconds(claim.started if claim else ""),
        claim=claim,
        metrics=about["metrics"],
        analysis=about["analysis"],
        verdict=about["verdict"],
        has_weights=ARTIFACTS in found and _file(ledger, found[ARTIFACTS], WEIGHTS_FILE) is not None,
        conflict=_report(ledger, found.get(ATTEMPTS), problems),
        problems=tuple(problems),
    )


def _read_message(
    name: _Name, commit: pygit2.Commit | None, claim: Claim | None, problems: list[str]
) -> tuple[RoundIdentity | None, str, str]:
    if commit is None:
        return None, "", ""
    message = commit.raw_message.decode(errors="replace")
    parsed = _try(lambda: parse_round_message(message), problems)
    if parsed is None:
        return None, "", ""
    identity = parsed[0]
    if (identity.run, identity.round) != name:
        problems.append(f"its trailers say it is {identity.run}/{identity.round}")
    if claim is not None and claim.attempt != identity.attempt:
        problems.append("its trailers and its claim name different attempts")
    return parsed


def _report(ledger: Ledger, oid: str | None, problems: list[str]) -> dict[str, Any] | None:
    for path in REPORT_FILES if oid is not None else ():
        blob = _file(ledger, str(oid), path)
        if blob is not None:
            return _try(partial(decode_record, blob.data, name=path), problems)
    return None


def _file(ledger: Ledger, commit: str, path: str) -> pygit2.Blob | None:
    try:
        found = get_commit(ledger, commit).tree[path]
    except (KeyError, NotFoundError, pygit2.GitError):
        return None
    return found if isinstance(found, pygit2.Blob) else None


def _created(ledger: Ledger, commit: str | None) -> str:
    blob = _file(ledger, commit, "run.json") if commit is not None else None
    record = _try(lambda: decode_record(blob.data, name="run.json"), []) if blob is not None else None
    return str((record or {}).get("created", ""))


def _try(read: Callable[[], _T], problems: list[str]) -> _T | None:
    try:
        return read()
    except AutoQECError as error:
        problems.append(error.problem)
        return None


def _iso(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _seconds(stamp: str) -> int:
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(stamp).timestamp())
    except ValueError:
        return 0
