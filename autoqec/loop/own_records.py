"""Writes what this process found to a round's notes, and reports what stands in its place instead of taking it for its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoqec.history import NoteLine, RecordConflictError, append_line, complete_note, read_lines, write_lock
from autoqec.history.rounds.signatures import signed
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.results.round_results import read_results

#: Kinds of notes that are signed if there is a key. Metrics are development figures, and an analysis is an agent's opinion.
_SIGNED = ("verdict",)


def note_own(session: Session, state: RoundState, kind: str, record: Mapping[str, Any]) -> NoteLine:
    """Write a record to the notes on a round's commit, signed where its kind is and there is a key.

    If another record stands under its id, it is reported, and this one is written under an id of its own.

    Returns:
        The record as it was written.
    """
    try:
        return _append(session, state, kind, record)
    except RecordConflictError as error:
        report_conflict(session, state, error.problem)
        return _append(session, state, kind, {name: value for name, value in record.items() if name != "id"})


def note_verdict(session: Session, state: RoundState, record: Mapping[str, Any], intent: str) -> NoteLine:
    """Write a verdict, and report others that name its intent: somebody could read the intent and write one first."""
    run = state.claim.run
    with write_lock(session.ledger):
        known = [line for lines in read_lines(session.ledger, run, "verdict").values() for line in lines]
        written = note_own(session, state, "verdict", record)
    for line in known:
        if line.record.get("intent") == intent:
            other, who = str(line.record.get("id"))[:40], str(line.record.get("writer"))[:80]
            report_conflict(session, state, f"the verdict {other}, by {who}, names the intent of the one reached here")
    return written


@dataclass(frozen=True)
class _Own:
    """The notes that this process wrote for a round."""

    metrics: Any = None
    analysis: Any = None
    verdict: Any = None


def own_state(
    session: Session, state: RoundState, own: Mapping[str, Mapping[str, Any]], *, begun_here: bool
) -> RoundState:
    """The state of a round as the process sees it that carries it to its end: what it wrote itself comes first.

    Args:
        session: Where.
        state: The round as it stands in git.
        own: The notes that this process wrote, by kind.
        begun_here: Whether this process began the round. Then nobody else has a note to write: others are reported and left out.
    """
    results = read_results(_Own(**own))
    found = {"metrics": results.metrics, "analysis": results.analysis, "verdict": results.verdict}
    for kind in found:
        if kind not in own and getattr(state, kind) is not None:
            if begun_here:
                report_conflict(session, state, f"somebody else has written its {kind} note; it is left out")
            else:
                found[kind] = getattr(state, kind)
    return replace(state, **found)  # type: ignore[arg-type]


def report_conflict(session: Session, state: RoundState, problem: str) -> None:
    """Tell the display about a record in the place of ours."""
    session.event("record_conflict", round=state.claim.number, code=RecordConflictError.code, problem=problem)


def _append(session: Session, state: RoundState, kind: str, record: Mapping[str, Any]) -> NoteLine:
    full: Mapping[str, Any] = complete_note(session.ledger, kind, dict(record))
    if kind in _SIGNED and session.settings["signing_key"]:
        full = signed(full, Path(session.settings["signing_key"]).expanduser())
    return append_line(session.ledger, state.claim.run, kind, str(state.commit), dict(full))
