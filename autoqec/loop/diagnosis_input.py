"""Collects the input of a diagnosis from git alone, and checks that a patch makes a valid candidate. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from autoqec.agents.agent_contract import PastRound
from autoqec.agents.budget import spent_on
from autoqec.agents.diagnosis.all_rules import diagnose_round, diagnose_run
from autoqec.agents.diagnosis.cases import Case, Diagnosis
from autoqec.agents.diagnosis.patches import fields_of, patched_files
from autoqec.agents.diagnosis.rules_run import RunCase
from autoqec.agents.past_rounds import past_round
from autoqec.candidate.schema import Output, Training
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE, OUTPUT_FILE, TRAINING_FILE
from autoqec.config import Settings
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.decoding.gate_file import Gate
from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history import (
    CANDIDATE_DIR,
    Ledger,
    RoundRecord,
    candidate_diff,
    read_attachment,
    read_history,
    trusted_events,
)
from autoqec.history import read_candidate as read_files
from autoqec.json_values import JsonObject
from autoqec.loop.tracing import run_calls
from autoqec.plugins import Registry
from autoqec.results.diagnosis_finding import DiagnosisFinding
from autoqec.results.round_results import read_results
from autoqec.results.statistics import attempt_share
from autoqec.results.verdict import parse_verdict
from autoqec.results.verification_events import parse_begun
from autoqec.runner.reading import canonical_candidate
from autoqec.settings_schema import Profile

#: Statuses of rounds whose files were perhaps not valid: only for them the kinds' fields are looked up.
_MISSPELT = ("compile_error", "agent_error")


@dataclass(frozen=True)
class _Lab:
    """What the cases of a run have in common: rounds and gains by commit, and the profiles that there are."""

    ledger: Ledger
    registry: Registry
    names: Mapping[str, str]
    gains: Mapping[str, float]
    profiles: Mapping[str, Profile]


def diagnose(
    ledger: Ledger,
    registry: Registry,
    settings: Settings,
    run: str,
    only: int | None = None,
) -> list[tuple[Diagnosis, Mapping[str, str]]]:
    """What is wrong with a run and its rounds, or with one round.

    Args:
        ledger: The lab.
        registry: Names the stage kinds; a kind is loaded only to check a field of it.
        settings: Theirs is the patience.
        run: The run.
        only: A round's number; None for all, and the run as a whole, which comes first.

    Returns:
        Each finding with the candidate's files that it speaks of.

    Raises:
        NotFoundError: There is no such run.
    """
    records = read_history(ledger, run)
    lab = _Lab(
        ledger,
        registry,
        names={record.commit: f"{record.run}/{record.number}" for record in records if record.commit},
        gains=_gains(records),
        profiles=settings.profiles,
    )
    cases = [_case(lab, record) for record in records if only in (None, record.number)]
    by_round = {case.past.name: diagnose_round(case) for case in cases}
    files = {case.past.name: case.files for case in cases}
    found: list[Diagnosis] = []
    if only is None:
        closed = tuple(c.past for c, r in zip(cases, records, strict=True) if r.claim and r.claim.state == "closed")
        found = diagnose_run(_run_case(ledger, registry, settings, run, closed), by_round)
    found += [finding for each in by_round.values() for finding in each]
    return [(finding, files.get(finding.name, {})) for finding in found]


def findings(
    ledger: Ledger, registry: Registry, settings: Settings, run: str, only: int | None = None
) -> list[DiagnosisFinding]:
    """What is wrong with a run and its rounds, or with one round, as it is shown; arguments are those of `diagnose`."""
    found = []
    for each, files in diagnose(ledger, registry, settings, run, only):
        both = patched(registry, each, files)
        placed = [{f"{CANDIDATE_DIR}/{path}": data for path, data in side.items()} for side in both or ()]
        patch = candidate_diff(*placed) if placed else None
        told = each.cause, each.severity, each.evidence, each.says, each.next_step
        found.append(DiagnosisFinding(each.run, each.round, *told, patch))
    return found


def patched(
    registry: Registry, finding: Diagnosis, files: Mapping[str, str]
) -> tuple[dict[str, bytes], dict[str, bytes]] | None:
    """The files that a finding's patch changes, before and after; None without a patch or if the result is not valid.

    Unchanged files were valid when they were committed, so they are not checked again.
    """
    if not finding.changes or not set(finding.changes) <= set(files):
        return None
    try:
        after = patched_files(files, finding.changes)
        changed = {path: after[path] for path in finding.changes if after[path] != files[path]}
        modules = {path.replace("/stage.yaml", "/module.py") for path in changed if "/" in path} & set(files)
        whole = {path: text.encode() for path, text in changed.items()} | {p: files[p].encode() for p in modules}
        canonical_candidate(whole, registry)
    except (AutoQECError, TypeError, ValueError):
        return None
    if not changed:
        return None
    return {path: files[path].encode() for path in changed}, {path: text.encode() for path, text in changed.items()}


def _case(lab: _Lab, record: RoundRecord) -> Case:
    problems = [*record.problems, *record.notices, *read_results(record).problems]

    def files_at(commit: str) -> Mapping[str, bytes]:
        return _tried(lambda: read_files(lab.ledger, commit), {}, problems)

    past = past_round(record, lab.names, files_at)
    details = record.claim.details if record.claim else {}
    profile = details.get("profile")
    conflicts = (record.conflict or {}).get("conflicts")
    waiting = details.get("waiting")
    proposed = _proposed(lab.ledger, record) if record.commit is None and record.status in _MISSPELT else {}
    return Case(
        past,
        verdict=parse_verdict(record.verdict).record,
        conflicts=[row for row in conflicts if isinstance(row, dict)] if isinstance(conflicts, list) else [],
        gains=lab.gains if record.status == "compose_conflict" else {},
        profile=_named(profile, lab.profiles) if isinstance(profile, dict) else {},
        waiting=waiting if isinstance(waiting, str) else "",
        proposed=proposed,
        known=_known(lab.registry, past.files or proposed, past.reason or "") if record.status in _MISSPELT else {},
        problems=problems,
    )


def _named(profile: JsonObject, profiles: Mapping[str, Profile]) -> dict[str, Any]:
    """A profile as a claim has it, with the name that it has in the settings, if it is there still."""
    known = ((name, each.model_dump()) for name, each in profiles.items())
    # A claim of an earlier version lacks fields that came later.
    return {**profile, "name": next((name for name, each in known if profile.items() <= each.items()), None)}


def _tried(read: Callable[[], Any], otherwise: Any, problems: list[str]) -> Any:
    try:
        return read()
    except AutoQECError as error:
        problems.append(error.problem)
        return otherwise


def _gains(records: Sequence[RoundRecord]) -> dict[str, float]:
    """Gains of rounds by commit: the verdict's, else the one on development shots."""
    found = {}
    for record in records:
        results = read_results(record)
        judged = results.verdict.figures if results.verdict else None
        figures = judged or (results.metrics.figures if results.metrics else None)
        if record.commit and figures is not None:
            found[record.commit] = figures.delta_ler
    return found


def _proposed(ledger: Ledger, record: RoundRecord) -> dict[str, str]:
    """The files of the Coder's last reply, whether or not it could be used."""
    found = _tried(lambda: read_attachment(ledger, "traces", record.run, record.number), {}, [])
    for name in ("calls/coder-2.json", "calls/coder-1.json", "coder.json"):
        try:
            told = json.loads(found[name])
            files = (told["reply"]["message"] if name.startswith("calls/") else told)["files"]
            return {str(path): text for path, text in files.items() if isinstance(text, str)}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return {}


def _known(registry: Registry, files: Mapping[str, str], reason: str) -> dict[str, Sequence[str]]:
    """What names there are; of stages only the kinds of those that the reason speaks of, for loading a kind takes a second."""
    kinds = registry.names("stage")
    known: dict[str, Sequence[str]] = {
        "kind": kinds,
        TRAINING_FILE: list(Training.model_fields),
        OUTPUT_FILE: list(Output.model_fields),
        GATE_FILE: list(Gate.model_fields),
        ENSEMBLE_FILE: list(Ensemble.model_fields),
    }
    for path in files:
        kind = fields_of(files, path).get("kind") if path.endswith("/stage.yaml") and path in reason else None
        if isinstance(kind, str) and kind in kinds:
            made = _tried(registry.get("stage", kind).create, None, [])
            known[kind] = list(made.Config.model_fields) if made is not None else []
    return known


def _run_case(
    ledger: Ledger, registry: Registry, settings: Settings, run: str, closed: tuple[PastRound, ...]
) -> RunCase:
    events = _tried(lambda: trusted_events(ledger, run), {}, [])
    begun = [event for each in events.values() for note in each if (event := parse_begun(note))]
    calls = _tried(lambda: run_calls(ledger, run), [], [])
    return RunCase(
        run,
        closed,
        patience=settings["patience"],
        options=_options(registry),
        attempts=len(begun),
        spent=sum(attempt_share(event.attempt) for event in begun),
        took=spent_on(calls).to_dict(),
    )


def _options(registry: Registry) -> dict[str, Sequence[str]]:
    """What a candidate may choose from, by the names of `RunCase.options`."""
    words = {name: get_args(Training.model_fields[name].annotation) for name in ("loss", "sampling", "labels", "init")}
    files = (GATE_FILE, ENSEMBLE_FILE)
    return {"kinds": registry.names("stage"), "losses": words.pop("loss"), "files": files, "curriculum": (), **words}


def latest_run(ledger: Ledger) -> str:
    """The run that was started last.

    Raises:
        NotFoundError: There is none.
    """
    records = read_history(ledger)
    if not records:
        raise NotFoundError("there is no round yet", hint="autoqec round")
    return records[-1].run
