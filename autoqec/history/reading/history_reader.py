"""Reads the history as plain records, for views and agents, with one listing of refs and one walk per notes tree.

Nothing here writes, locks or raises on damaged records. A record's `problems` lists what is not readable, so one damaged
round does not hide the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from autoqec.errors import NotFoundError
from autoqec.history.reading.round_record import RoundRecord, RunNotes, claim_of, make_record, record_at, tried
from autoqec.history.reading.snapshot import ATTEMPTS, Found, Snapshot, take_snapshot, tip
from autoqec.history.reading.trusted_notes import RunTrust
from autoqec.history.rounds.notes import NOTE_KINDS, NOTES, NoteLine, Record, lines_at, read_lines
from autoqec.history.rounds.round_commits import require_not_dropped
from autoqec.history.rounds.run_refs import RUNS, check_run_name, load_run
from autoqec.history.store.dropped_refs import kept_at, whole_record
from autoqec.history.store.refs import every_ref, target
from autoqec.history.store.repository import Ledger
from autoqec.results.note_lines import Line


@dataclass(frozen=True)
class RunRecords:
    """The rounds of a run.

    Attributes:
        run: The run's name.
        created: Start time in UTC; empty if this lab lacks the run's own record.
        records: Its rounds by number.
        strays: For each commit with verdicts that belongs to no round, the verdict that would count if it belonged to one.
        fleeting: Numbers of rounds that must not be cached, because the same refs may read differently later: the round is
            at work, part of it is damaged or missing, or no ref protects its commit.
        save: Keeps what was found out about the lines of the notes, for the next reader. Nothing else here writes.
    """

    run: str
    created: str
    records: tuple[RoundRecord, ...]
    strays: Mapping[str, Record]
    fleeting: frozenset[int]
    save: Callable[[], None]

    @property
    def age(self) -> tuple[str, str]:
        """Sort key of runs: start time, then name."""
        return self.created or (_iso(self.records[0].time) if self.records else ""), self.run


def read_history(ledger: Ledger, run: str | None = None) -> list[RoundRecord]:
    """Return all rounds, or those of one run, sorted by the run's start time and then by number.

    Raises:
        NotFoundError: There is no such run.
    """
    snapshot = take_snapshot(ledger)
    runs = [read_run(ledger, snapshot, name) for name in chosen_runs(ledger, snapshot, run)]
    return [record for found in sorted(runs, key=lambda found: found.age) for record in found.records]


def chosen_runs(ledger: Ledger, snapshot: Snapshot, run: str | None) -> list[str]:
    """Return the names of all runs, or only `run`.

    Raises:
        NotFoundError: There is no such run.
    """
    if run is None:
        return list(snapshot.runs)
    if run not in snapshot.runs:
        load_run(ledger, run)  # raises an error that lists the runs
    return [run]


def read_run(ledger: Ledger, snapshot: Snapshot, run: str, numbers: Collection[int] | None = None) -> RunRecords:
    """Read the rounds of a run in a snapshot.

    Args:
        ledger: The lab.
        snapshot: Its refs.
        run: A run of the snapshot.
        numbers: Read only these rounds, at a cost independent of the others, with empty `strays`; by default all.
    """
    rounds = snapshot.runs[run]
    chosen = {number: rounds[number] for number in sorted(rounds if numbers is None else numbers)}
    claims = {number: claim_of(ledger, run, number, found) for number, found in chosen.items()}
    oids = {n: (claim.commit if claim else None) or tip(chosen[n]) for n, (claim, _) in claims.items()}
    created, environment = _run_record(ledger, snapshot.refs.get(RUNS + run))
    only = None if numbers is None else {oid for oid in oids.values() if oid}
    notes = _notes_of(ledger, snapshot, run, only, environment)
    verdicts_at = f"{NOTES}{run}/verdict", snapshot.notes_tip(run, "verdict")
    trust = RunTrust(ledger, run, environment[1] if environment else None, partial(_lines, ledger, *verdicts_at))
    records = [make_record(ledger, (run, n), chosen[n], *claims[n], oids[n], notes, trust) for n in chosen]
    damaged = bool(notes.problems or notes.general)
    strays = set(notes.by_kind["verdict"]) - {oid for oid in oids.values() if oid} if numbers is None else set()
    strays -= set(snapshot.dropped.get(run, ()))
    verdicts = {oid: trust.read(oid, (), None, notes.on(oid)).verdict for oid in sorted(strays)}
    return RunRecords(
        run=run,
        created=created,
        records=tuple(records),
        strays={oid: verdict for oid, verdict in verdicts.items() if verdict is not None},
        fleeting=frozenset(r.number for r in records if damaged or _is_fleeting(r, chosen[r.number])),
        save=trust.examined.save,
    )


def find_record(ledger: Ledger, run: str, number: int) -> RoundRecord:
    """Return the record of one round.

    Raises:
        UsageError: `run` is not a run name.
        NotFoundError: There is no such run or round; the error lists those that exist.
    """
    check_run_name(run)
    snapshot = take_snapshot(ledger)
    chosen_runs(ledger, snapshot, run)
    numbers = sorted(snapshot.runs[run])
    if number in numbers:
        return read_run(ledger, snapshot, run, {number}).records[0]
    require_not_dropped(ledger, run, number)
    there = f"it has rounds {numbers[0]} to {numbers[-1]}" if numbers else "it has no rounds yet"
    raise NotFoundError(f"there is no round {run}/{number}; {there}", hint=f"autoqec log {run}")


def trusted_events(ledger: Ledger, run: str, commits: Collection[str] | None = None) -> dict[str, list[Record]]:
    """Return the events of a run that count, such as head-to-heads, on some commits or on all."""
    ref = f"{NOTES}{run}/verdict"
    only = None if commits is None else sorted(commits)
    lines = _lines(ledger, ref, target(ledger, ref), only)
    trust = run_trust(ledger, run)
    return {commit: [dict(line.record) for line in trust.events(commit, each)] for commit, each in lines.items()}


def run_trust(ledger: Ledger, run: str, *, unsigned_too: bool = False) -> RunTrust:
    """Return what rules on the notes of a run as it stands now. Its chain raises an error if a note cannot be read.

    Args:
        ledger: The lab.
        run: The run.
        unsigned_too: Whether unsigned records count though the user asks for signatures.
    """

    def every_line() -> dict[str, list[Line]]:
        found = read_lines(ledger, run, "verdict", whole=True)
        return {commit: [Line(line.digest, line.record) for line in lines] for commit, lines in found.items()}

    ref = RUNS + run  # what a dropped run has spent stays spent, so its notes are read as before
    _, environment = _run_record(ledger, whole_record(every_ref(ledger, ref, kept_at(ref))).get(ref))
    return RunTrust(ledger, run, environment[1] if environment else None, every_line, unsigned_too)


def _notes_of(
    ledger: Ledger, snapshot: Snapshot, run: str, commits: Collection[str] | None, environment: tuple[str, str] | None
) -> RunNotes:
    problems: list[str] = []
    general: list[str] = []
    by_kind: dict[str, dict[str, list[NoteLine]]] = {}
    for kind in NOTE_KINDS:
        at = (f"{NOTES}{run}/{kind}", snapshot.notes_tip(run, kind), problems, commits)
        by_kind[kind] = tried(partial(lines_at, ledger, *at), general) or {}
    return RunNotes(by_kind, tuple(problems), tuple(general), environment)


def _lines(
    ledger: Ledger, ref: str, tip_of_notes: str | None, commits: Collection[str] | None = None
) -> dict[str, list[Line]]:
    """The readable lines of a notes ref, by commit."""
    found = tried(partial(lines_at, ledger, ref, tip_of_notes, [], commits), []) or {}
    return {commit: [Line(line.digest, line.record) for line in lines] for commit, lines in found.items()}


def _is_fleeting(record: RoundRecord, found: Found) -> bool:
    at_work = record.claim is not None and record.claim.state != "closed"
    kept = record.commit == tip(found)
    return at_work or not kept or bool(record.problems) or (ATTEMPTS in found and record.conflict is None)


def _run_record(ledger: Ledger, commit: str | None) -> tuple[str, tuple[str, str] | None]:
    """When a run started, and the name and identity of its environment, as far as its record is here and says so."""
    found = tried(lambda: record_at(ledger, commit, "run.json"), []) if commit is not None else None
    record = found or {}
    env = record.get("env")
    name, identity = (env.get("name"), env.get("id")) if isinstance(env, dict) else (None, None)
    known = (name, identity) if isinstance(name, str) and isinstance(identity, str) else None
    return str(record.get("created", "")), known


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
