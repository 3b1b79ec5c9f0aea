"""Estimates the next round: prompt lengths, the calls' maximum cost, and the duration. Calls no agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from autoqec.agents.agent_contract import ROLES, Context, Role
from autoqec.agents.calls import estimate_of
from autoqec.agents.context_parts import ProfileLimits
from autoqec.agents.prompt import render
from autoqec.history import list_claims
from autoqec.loop.agent_contexts import build_context
from autoqec.loop.many_rounds import seconds_of_a_round
from autoqec.loop.session import Session, make_agent
from autoqec.printed_rows import PlannedCallRow, PlanRow
from autoqec.results.round_plan import MeasuredRound

#: A hypothesis of usual length, where there is none yet.
_IDEA = {"text": "x" * 200, "rationale": "x" * 600, "hint": "x" * 1000, "fork_from": [], "compose": "none"}


@dataclass(frozen=True)
class PlannedCall:
    """The planned call of a role.

    Attributes:
        role, agent: Who is asked.
        prompt_tokens: Of the prompt, about; 0 for an agent that is not told in words.
        tokens: Of prompt and reply at most.
        cost: US dollars at most; None where the price is not known.
    """

    role: Role
    agent: str
    prompt_tokens: int
    tokens: int
    cost: float | None


def plan_round(session: Session, measured: MeasuredRound | None = None) -> PlanRow:
    """Estimate the next round.

    Args:
        session: Where.
        measured: What its parts take; None if that was not measured.
    """
    number = 1 + max((claim.number for claim in list_claims(session.ledger, session.run.name)), default=0)
    told = build_context(session, number, cast(ProfileLimits, session.settings.profile.model_dump()))
    calls = [_planned(session, role, told) for role in ROLES]
    prices = [call.cost for call in calls]
    known = [price for price in prices if price is not None]
    return {
        "calls": [cast("PlannedCallRow", vars(call)) for call in calls],
        "tokens": sum(call.tokens for call in calls),
        "cost": sum(known) if len(known) == len(prices) else None,
        "seconds": seconds_of_a_round(session),
        "seconds_at_most": None if measured is None else float(f"{measured.at_most:.4g}"),
        "measured": None if measured is None else measured.to_row(),
    }


def _planned(session: Session, role: Role, told: Context) -> PlannedCall:
    name = session.settings[role]
    latest = next((past for past in reversed(told.history) if past.files and past.metrics), None)
    more: dict[str, Any] = {}
    if role != "ideator":
        more = {"hypothesis": _IDEA, "parent_files": dict(latest.files) if latest else {}}
    if role == "analyst":
        more["metrics"] = latest.metrics if latest else None
    context = Context(**{**vars(told), **more})
    estimate = estimate_of(make_agent(session, role, name), role, context)
    words = session.registry.get("agent", name).capabilities.get("words", False)
    tokens = estimate.prompt_tokens or (render(role, context).tokens if words else 0)
    return PlannedCall(role, name, tokens, estimate.tokens, estimate.cost)
