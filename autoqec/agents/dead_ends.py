"""Dead ends: past rounds that say what not to try again, each with its reason and the cause behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autoqec.agents.agent_contract import PastRound
from autoqec.agents.diagnosis.all_rules import root_cause
from autoqec.results.rungs import SCREENED_OUT

#: How a round may have ended without being tried to its end, but for want of a machine, a budget or a person.
_TELLING = ("compile_error", "train_error", "killed_by_safety", "compose_conflict", "agent_error", SCREENED_OUT)


def dead_ends(history: Iterable[PastRound]) -> list[dict[str, Any]]:
    """Rounds that failed, gained nothing or were not believed, oldest first.

    Returns:
        `round`, `tried`, `ended` and `reason` of each; and `cause` and `means`, if a diagnosis knows them.
    """
    found = []
    for past in history:
        ended, reason = _end(past)
        if ended:
            row = {"round": past.name, "tried": past.hypothesis, "ended": ended, "reason": reason}
            known = root_cause(past)
            found.append(row | ({"cause": known.cause, "means": known.says} if known else {}))
    return found


def _end(past: PastRound) -> tuple[str, str]:
    rung = past.metrics.rung if past.metrics else None
    compared = rung is not None and rung.by_request  # with others, and the best of them may train on
    if past.status in _TELLING and not compared:
        return past.status, past.reason or ""
    if past.verdict in ("FAILED", "SUSPICIOUS"):
        return past.verdict, past.verdict_reason or ""
    if past.decision == "ignore" and not compared:
        return "ignored", past.summary
    return "", ""
