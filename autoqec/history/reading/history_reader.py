"""The history as plain records, for all that shows or learns from it: one listing of refs, one walk per note tree.

Nothing here writes, locks or raises on damaged records: what cannot be read is said in a record's `problems`, because
a log that refuses to show 99 rounds on account of the hundredth helps nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from autoqec.errors import NotFoundError
from autoqec.history.reading.round_record import RoundRecord, RunNotes, claim_of, file_at, make_record, tried
from autoqec.history.reading.snapshot import ATTEMPTS, Found, Snapshot, take_snapshot, tip
from autoqec.history.rounds.notes import NOTE_KINDS, NOTES, Record, effective, notes_at
from autoqec.history.rounds.run_refs import RUNS, check_run_name, load_run
from autoqec.history.store.json_records import decode_record
from autoqec.history.store.repository import Ledger


@dataclass(frozen=True)
class RunRecords:
    """What the repository says of a run's rounds.

    Attributes:
        run: The run's name.
        created: When it was started, in UTC; empty if the run's own record is not here.
        records: Its rounds by number.
        strays: The verdict that counts for each commit that has one and is no round's.
        fleeting: Numbers of rounds on which the same refs may be read differently later: they are at work, something
            of them is damaged or missing, or no ref keeps their commit.
    """

    run: str
    created: str
    records: tuple[RoundRecord, ...]
    strays: Mapping[str, Record]
    fleeting: frozenset[int]

    @property
    def age(self) -> tuple[str, str]:
        """What runs are sorted by: when they began, then by name."""
        return self.created or (_iso(self.records[0].time) if self.records else ""), self.run


def read_history(ledger: Ledger, run: str | None = None) -> list[RoundRecord]:
    """All rounds, or those of one run, sorted by the run's creation and then by number.

    Raises:
        NotFoundError: There is no such run.
    """
    snapshot = take_snapshot(ledger)
    runs = [read_run(ledger, snapshot, name) for name in chosen_runs(ledger, snapshot, run)]
    return [record for found in sorted(runs, key=lambda found: found.age) for record in found.records]


def chosen_runs(ledger: Ledger, snapshot: Snapshot, run: str | None) -> list[str]:
    """The names of all runs, or that of the one asked for.

    Raises:
        NotFoundError: There is no such run.
    """
    if run is None:
        return list(snapshot.runs)
    if run not in snapshot.runs:
        load_run(ledger, run)  # raises, and says what there is
    return [run]


def read_run(ledger: Ledger, snapshot: Snapshot, run: str, numbers: Collection[int] | None = None) -> RunRecords:
    """The rounds of a run as a snapshot has them.

    Args:
        ledger: The lab.
        snapshot: Its refs.
        run: A run of the snapshot.
        numbers: Only these rounds, at a cost that does not depend on the others; by default all. With them, `strays`
            is empty.
    """
    rounds = snapshot.runs[run]
    chosen = {number: rounds[number] for number in sorted(rounds if numbers is None else numbers)}
    claims = {number: claim_of(ledger, run, number, found) for number, found in chosen.items()}
    oids = {n: (claim.commit if claim else None) or tip(chosen[n]) for n, (claim, _) in claims.items()}
    notes = _notes_of(ledger, snapshot, run, None if numbers is None else {oid for oid in oids.values() if oid})
    records = [make_record(ledger, (run, n), chosen[n], *claims[n], oids[n], notes) for n in chosen]
    damaged = bool(notes.problems or notes.general)
    strays = set(notes.by_kind["verdict"]) - {oid for oid in oids.values() if oid} if numbers is None else set()
    verdicts = {oid: effective(notes.by_kind["verdict"][oid]) for oid in sorted(strays)}
    return RunRecords(
        run=run,
        created=_created(ledger, snapshot.refs.get(RUNS + run)),
        records=tuple(records),
        strays={oid: verdict for oid, verdict in verdicts.items() if verdict is not None},
        fleeting=frozenset(r.number for r in records if damaged or _is_fleeting(r, chosen[r.number])),
    )


def find_record(ledger: Ledger, run: str, number: int) -> RoundRecord:
    """The record of one round.

    Raises:
        UsageError: The run's name is none.
        NotFoundError: There is no such run or round; names what there is.
    """
    check_run_name(run)
    snapshot = take_snapshot(ledger)
    chosen_runs(ledger, snapshot, run)
    numbers = sorted(snapshot.runs[run])
    if number in numbers:
        return read_run(ledger, snapshot, run, {number}).records[0]
    there = f"it has rounds {numbers[0]} to {numbers[-1]}" if numbers else "it has no rounds yet"
    raise NotFoundError(f"there is no round {run}/{number}; {there}", hint=f"autoqec log {run}")


def _notes_of(ledger: Ledger, snapshot: Snapshot, run: str, commits: Collection[str] | None) -> RunNotes:
    problems: list[str] = []
    general: list[str] = []
    by_kind: dict[str, dict[str, list[Record]]] = {}
    for kind in NOTE_KINDS:
        at = (f"{NOTES}{run}/{kind}", snapshot.notes_tip(run, kind), problems, commits)
        by_kind[kind] = tried(partial(notes_at, ledger, *at), general) or {}
    return RunNotes(by_kind, tuple(problems), tuple(general))


def _is_fleeting(record: RoundRecord, found: Found) -> bool:
    at_work = record.claim is not None and record.claim.state != "closed"
    kept = record.commit == tip(found)
    return at_work or not kept or bool(record.problems) or (ATTEMPTS in found and record.conflict is None)


def _created(ledger: Ledger, commit: str | None) -> str:
    blob = file_at(ledger, commit, "run.json") if commit is not None else None
    record = tried(lambda: decode_record(blob.data, name="run.json"), []) if blob is not None else None
    return str((record or {}).get("created", ""))


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
