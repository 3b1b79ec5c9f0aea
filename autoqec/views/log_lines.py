"""Rounds as JSON lines, run by run, for `log` and `pareto`; cached as long as a run does not change.

A round's line, and whether it can be on the front, follow from the objects that its run's refs name. Rounds that may change
without a change of refs (they are running, or a part is missing) are read every time.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from autoqec.errors import NotFoundError
from autoqec.history import (
    Ledger,
    RoundRecord,
    RunRecords,
    Snapshot,
    chosen_runs,
    has_objects,
    list_runs,
    read_cache,
    read_run,
    take_snapshot,
    trusted,
    trusted_events,
    write_cache,
)
from autoqec.installed_package import PACKAGE_FOLDER

if TYPE_CHECKING:  # lines from the cache are printed as they are, and records take a while to define
    from autoqec.results.head_to_head import HeadToHead
    from autoqec.results.lab_front import Entrant
    from autoqec.views.round_json import RoundRow

#: The source code that decides what a line says; a cache that other code wrote is not used.
_MAKERS = (
    "canonical.py", "history/reading/examined_lines.py", "history/reading/history_reader.py",
    "history/reading/round_record.py", "history/reading/snapshot.py", "history/reading/trust_policy.py",
    "history/reading/trusted_notes.py", "history/rounds/claims.py", "history/rounds/note_trees.py",
    "history/rounds/notes.py", "history/rounds/round_commits.py", "history/rounds/run_refs.py",
    "history/rounds/seen_heads.py", "history/rounds/signatures.py", "history/rounds/trailers.py",
    "history/store/json_records.py", "results/analysis.py", "results/audit.py", "results/best_so_far.py", "results/bets.py",
    "results/certificate_parts.py",
    "results/chain.py",
    "results/counts.py",
    "results/decision.py", "results/distance.py", "results/failure_bands.py", "results/figures.py",
    "results/finite_holdout.py",
    "results/gate_costs.py", "results/harm.py",
    "results/head_to_head.py", "results/interval_ends.py", "results/lab_front.py", "results/limits.py", "results/metrics.py",
    "results/metrics_parts.py", "results/note_form.py", "results/note_lines.py", "results/pareto_front.py",
    "results/reasons.py", "results/reference_gates.py", "results/round_results.py", "results/rungs.py",
    "results/statistics.py", "results/strata_parts.py", "results/stratified_counts.py",
    "results/trust/line_trust.py",
    "results/trust/metrics_trust.py", "results/verdict.py", "results/verdict_checks.py", "results/verdict_parts.py",
    "results/verification_events.py", "results/wider_comparisons.py", "views/log_lines.py", "views/round_json.py",
)  # fmt: skip

#: One encoder for all lines. Items consist of records, so there are no reference cycles to check for.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False)


@dataclass(frozen=True)
class Line:
    """A round's row as it is printed, and what the front needs to know before it looks inside.

    Attributes:
        number: The round's number.
        commit: The round's commit, or None.
        env, env_id: The name and identity of the run's environment, or None if the commit cannot be read.
        verified: Whether its verdict is VERIFIED.
        figures: If it is, the verdict's gain and the ends of its interval, FLOPs, parameters; None if one is missing.
        ratio: If it is, the verdict's ratio to plain decoding and the ends of its interval; None if it has none.
        finished: Whether the round has ended.
        text: The line, without the line feed, and without the best round so far: that follows from other rounds too.
        over: If it is VERIFIED, why it is on no front nevertheless: limits of its environment that its figures exceed, missing
            figures, or a missing record of its run. A sentence each.
    """

    number: int
    commit: str | None
    env: str | None
    env_id: str | None
    verified: bool
    figures: tuple[float, float, float, int, int] | None
    ratio: tuple[float, float, float | None] | None
    finished: bool
    text: str
    over: tuple[str, ...] = ()

    @property
    def row(self) -> RoundRow:
        """The round's row, without the best round so far."""
        from autoqec.views.round_json import RoundRow

        return RoundRow.from_json(json.loads(self.text))

    def entrant(self, run: str) -> Entrant | None:
        """The round as the front sees it; None unless it is VERIFIED."""
        if not self.verified:
            return None
        from autoqec.results.lab_front import Entrant
        from autoqec.results.pareto_front import Point

        name, point = f"{run}/{self.number}", None
        if self.figures is not None:
            gain, low, high, flops, params = self.figures
            point = Point(name, gain, (low, high), flops, params)
        return Entrant(name, str(self.commit), point, self.over)


@dataclass(frozen=True)
class RunLines:
    """A run's rounds by number; `strays` are commits of no round here that have a VERIFIED verdict which might count."""

    run: str
    age: tuple[str, str]
    lines: tuple[Line, ...]
    strays: tuple[str, ...]


def read_lines(ledger: Ledger, run: str | None = None) -> list[RunLines]:
    """The rounds of all runs, or of one, sorted by the run's creation; from the cache if it is still valid.

    Raises:
        NotFoundError: There is no such run.
        AutoQECError: The refs cannot be read.
    """
    with _nothing_to_collect():
        snapshot = take_snapshot(ledger)
        found = [_run_lines(ledger, snapshot, name) for name in chosen_runs(ledger, snapshot, run)]
    return sorted(found, key=lambda lines: lines.age)


def require_environment(ledger: Ledger, runs: Iterable[RunLines], env: str | None) -> None:
    """Check that the history has an environment; None means no check.

    Raises:
        NotFoundError: It does not; names the environments that it has.
    """
    known = {line.env for run in runs for line in run.lines if line.env}
    if env is None or env in known:
        return
    known |= {run.env_name for run in list_runs(ledger)}  # of one whose rounds all failed, no commit says what it is
    if env not in known:
        there = f"there are {', '.join(sorted(known))}" if known else "it has no rounds yet"
        hint = f"autoqec log --env {min(known)}" if known else "autoqec round starts a run"
        raise NotFoundError(f"no round is on environment {env!r}; {there}", hint=hint)


def head_to_heads_of(ledger: Ledger, runs: Iterable[str], commits: Collection[str]) -> dict[str, list[HeadToHead]]:
    """The head-to-heads noted on commits of some runs, by the commit of the costlier round."""
    from autoqec.results.head_to_head import head_to_heads

    notes: dict[str, list[HeadToHead]] = {}
    for name in sorted(runs):
        for commit, pairs in head_to_heads(trusted_events(ledger, name, commits)).items():
            notes[commit] = [*notes.get(commit, ()), *pairs]
    return notes


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Disable the cyclic garbage collector: reading makes no cycles, and each collection would scan all that was read."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _run_lines(ledger: Ledger, snapshot: Snapshot, run: str) -> RunLines:
    key = hashlib.sha256(f"{_code()} {trusted(ledger).digest} {run} {snapshot.digest(run)}".encode()).hexdigest()
    kept = read_cache(ledger, key)
    unpacked: RunLines | None = None
    if kept is not None:
        with suppress(ValueError, KeyError, TypeError):  # it is whole, but nothing of ours
            unpacked = _unpack(ledger, snapshot, run, kept)
    if unpacked is not None:
        return unpacked
    records = read_run(ledger, snapshot, run)
    lines, named = _make(snapshot, records)
    records.save()
    if records.created and lines.lines:
        write_cache(ledger, key, _pack(lines, records.fleeting, named))
    return lines


def _make(snapshot: Snapshot, found: RunRecords) -> tuple[RunLines, dict[str, str | None]]:
    """The lines of a run, and the names that they use for commits of other runs."""
    from autoqec.results.verdict import parse_verdict

    own = {record.commit: f"{found.run}/{record.number}" for record in found.records if record.commit}
    named = {
        oid: snapshot.names.get(oid)
        for record in found.records
        for oid in (record.identity.fork_from if record.identity else ())
        if oid not in own
    }
    names = {oid: name for oid, name in named.items() if name} | own
    strays = tuple(oid for oid, note in found.strays.items() if (v := parse_verdict(note).record) and v.verified)
    lines = tuple(_line(record, names) for record in found.records)
    return RunLines(found.run, found.age, lines, strays), named


def _line(record: RoundRecord, names: Mapping[str, str]) -> Line:
    from autoqec.results.lab_front import entrant
    from autoqec.results.round_results import read_results
    from autoqec.views.round_json import round_row

    results = read_results(record)
    row = round_row(record, names, results)
    standing = entrant(row.name, record.commit, results.verdict, results.metrics)
    point, verified = standing.point if standing else None, row.verdict == "VERIFIED"
    figures = (point.delta_ler, *point.interval, point.flops, point.params) if point else None
    over = (*standing.over, *_gaps(record, point is None)) if standing else ()
    best = results.verdict.figures if standing and results.verdict else None
    ratio = (best.ler_ratio, *best.ratio_interval) if best and best.ler_ratio is not None else None
    finished = record.claim is not None and record.claim.state == "closed"
    known = record.number, record.commit, row.env, row.env_id, verified, figures, ratio, finished
    return Line(*known, json_line(row), over)


def _gaps(record: RoundRecord, incomplete: bool) -> Iterator[str]:
    """Why a VERIFIED round has no place on a front, although no limit is exceeded."""
    if incomplete:
        yield "its notes lack the gain, its interval, FLOPs or parameters"
    if record.environment is None:
        yield f"the record of run {record.run}, which says the environment, is not here"


def json_line(row: RoundRow) -> str:
    """A round's JSON object on one line, without the best round so far."""
    item = row.to_json()
    del item["best_so_far"]
    text = _ENCODER.encode(item)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(item)
    return text


def _pack(lines: RunLines, fleeting: Iterable[int], named: Mapping[str, str | None]) -> bytes:
    lasting = [line for line in lines.lines if line.number not in set(fleeting)]
    head = {
        "age": lines.age,
        "strays": lines.strays,
        "named": named,
        "fleeting": sorted(fleeting),
        "rounds": [
            (
                *(line.number, line.commit, line.env, line.env_id, line.verified),
                *(line.figures, line.ratio, line.finished, line.over),
            )
            for line in lasting
        ],
    }
    return "\n".join([json.dumps(head), *(line.text for line in lasting)]).encode()


def _unpack(ledger: Ledger, snapshot: Snapshot, run: str, data: bytes) -> RunLines | None:
    """The cached lines of a run; None if a commit is gone, or a commit of another run has another name now."""
    first, *texts = data.decode().split("\n")
    head = json.loads(first)
    lines = [
        Line(
            n, oid, env, env_id, verified, figures and tuple(figures), ratio and tuple(ratio), ended, text, tuple(over)
        )
        for (n, oid, env, env_id, verified, figures, ratio, ended, over), text in zip(
            head["rounds"], texts, strict=True
        )
    ]
    if any(snapshot.names.get(oid) != name for oid, name in head["named"].items()):
        return None
    if not has_objects(ledger, (line.commit for line in lines if line.commit)):
        return None
    if head["fleeting"]:
        fresh = read_run(ledger, snapshot, run, head["fleeting"])
        own = {line.commit: f"{run}/{line.number}" for line in lines if line.commit}
        own |= {record.commit: f"{run}/{record.number}" for record in fresh.records if record.commit}
        names = {**snapshot.names, **own}
        lines = sorted([*lines, *(_line(record, names) for record in fresh.records)], key=lambda line: line.number)
    return RunLines(run, tuple(head["age"]), tuple(lines), tuple(head["strays"]))


@cache
def _code() -> str:
    top = PACKAGE_FOLDER
    digest = hashlib.sha256()
    for name in _MAKERS:
        digest.update((top / name).read_bytes())
    return digest.hexdigest()
