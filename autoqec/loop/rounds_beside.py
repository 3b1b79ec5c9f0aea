"""Rounds beside a run's closed ones that an Ideator should know: rounds that are open now, and rounds of the family."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from autoqec.agents.agent_contract import FamilyRound, PastRound
from autoqec.agents.past_rounds import past_round, past_rounds
from autoqec.errors import AutoQECError
from autoqec.history import RoundRecord, list_runs, read_attachment, read_candidate, read_history
from autoqec.json_values import JsonObject
from autoqec.loop.round_view import IDEA_FILE, RoundView
from autoqec.loop.session import Session, run_environment
from autoqec.problem.code_family import other_family
from autoqec.problem.environment import Environment
from autoqec.results.reasons import FOUND_OUT

#: At most so many rounds of the family are in a context.
MOST_OF_FAMILY = 24


def open_rounds(session: Session, view: RoundView) -> tuple[PastRound, ...]:
    """The other open rounds of a run that have an idea.

    A round whose process has ended is one of them until it is closed, because it may be resumed.

    Args:
        session: Where.
        view: The run, as the round that asks sees it.
    """
    records = sorted((*view.closed, *view.open), key=lambda record: record.number)
    names = {record.commit: f"{record.run}/{record.number}" for record in records if record.commit}
    found = []
    for record in view.open:
        past = past_round(record, names, lambda commit: read_candidate(session.ledger, commit))
        idea = _idea(session, record)
        if not past.files and not idea:
            continue
        told = idea.get("fork_from")
        parents = tuple(each for each in told if isinstance(each, str)) if isinstance(told, list) else ()
        found.append(
            replace(
                past,
                hypothesis=past.hypothesis or str(idea.get("text", "")),
                fork_from=past.fork_from or parents,
                compose=past.compose if past.files else str(idea.get("compose", "none")),
                screen="only" if idea.get("screen") == "only" else "auto",
            )
        )
    return tuple(found)


def _idea(session: Session, record: RoundRecord) -> JsonObject:
    """The hypothesis in a round's trace; empty if there is none, or none that can be read."""
    try:
        data = read_attachment(session.ledger, "traces", record.run, record.number).get(IDEA_FILE)
        found = json.loads(data) if data else {}
    except (AutoQECError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def family_rounds(session: Session) -> tuple[FamilyRound, ...]:
    """Scored rounds of other environments of the family: those of the lowest ratios to the plain decoder, worst first.

    Rounds that a verifier found out are left out, because their figures are not true.
    Runs on the session's own environment are left out, so that two seeds on one environment stay independent.
    """
    own = session.environment
    found = []
    for run in list_runs(session.ledger):
        if run.env_id == own.identity:
            continue
        try:
            other = run_environment(run).environment
        except AutoQECError:
            continue  # its environment is damaged, or of a later version
        if not of_one_family(own.environment, other):
            continue
        fields = other.model_dump(mode="json")
        closed = past_rounds(
            read_history(session.ledger, run.name), lambda commit: read_candidate(session.ledger, commit)
        )
        found += [FamilyRound(fields, past) for past in closed if _is_sound(past)]
    return lowest_ratios(found)


def _is_sound(past: PastRound) -> bool:
    whole = past.status == "ok" and past.metrics is not None and bool(past.files)
    return whole and past.verdict_reason not in FOUND_OUT


def lowest_ratios(found: Iterable[FamilyRound]) -> tuple[FamilyRound, ...]:
    """The rounds of the lowest ratios to the plain decoder, as many as a context has, worst first."""
    return tuple(sorted(found, key=_worst_first)[-MOST_OF_FAMILY:])


def of_one_family(one: Environment, other: Environment) -> bool:
    """Tell whether two environments are of one family of codes, and have the same kind of decoder."""
    return other_family(one, other) is None and one.decoder.kind == other.decoder.kind


def _worst_first(each: FamilyRound) -> tuple[float, str]:
    ratio = each.past.metrics.figures.ler_ratio if each.past.metrics else None
    return -(1.0 if ratio is None else ratio), each.past.name
