"""Which steps of a round have work to do, and why others have none: a display says nothing of what does not happen."""

from __future__ import annotations

from typing import Any

from autoqec.loop.role_questions import detail
from autoqec.loop.round_state import PERSON, RoundState
from autoqec.loop.session import Session, profile_from
from autoqec.results.reasons import unverified_words

_ROLES = {"ideate": "ideator", "code": "coder", "analyse": "analyst"}


def say_step(session: Session, name: str, state: RoundState) -> None:
    """Report that a step begins, or why the round needs none; nothing of a step whose result is there."""
    if _is_done(name, state):
        return
    why = _why_not_needed(name, state)
    if why:
        session.event("skipped", round=state.claim.number, step=name, why=why)
    else:
        session.event("step", round=state.claim.number, step=name, **_about(name, state))


def _is_done(name: str, state: RoundState) -> bool:
    results: dict[str, object] = {
        "ideate": state.hypothesis or state.commit,
        "code": state.commit,
        "train": state.weights,
        "score": state.metrics,
        "analyse": state.analysis,
        "verify": state.verdict,
    }
    return results.get(name) is not None


def _why_not_needed(name: str, state: RoundState) -> str:
    if name != "verify":
        return ""
    if state.metrics is not None and state.metrics.screened_out:
        return "its screen ended the round"
    if state.analysis is not None and state.analysis.decision != "candidate":
        return unverified_words(state.analysis.decision, state.metrics.figures.gain_interval if state.metrics else None)
    return ""


def _about(name: str, state: RoundState) -> dict[str, Any]:
    if name == "train":
        return {"seconds_at_most": profile_from(detail(state, "profile")).train_seconds}
    agents = state.claim.details.get("agents")
    agent = agents.get(_ROLES.get(name)) if isinstance(agents, dict) else None
    pure = name == "code" and state.hypothesis is not None and state.hypothesis.get("compose") == "pure"
    return {} if agent in (None, PERSON) or pure else {"agent": str(agent)}
