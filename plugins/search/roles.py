"""Shared parts of the embedded agents: a Coder that writes the files in the Ideator's hint, and an Analyst with one rule.

They keep no state: each reply is a function of the context, which comes from git. Only their Ideators differ, so a comparison
of these agents compares ideas.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from autoqec.agents.agent_contract import Context, Report, Role, ignore
from autoqec.agents.context_parts import AnalysisMessage, HypothesisMessage, Message, ProposalMessage
from autoqec.errors import UsageError

from .affording import over_limits
from .brackets import MOST, in_bracket
from .space import template_files
from .templates import templates_for
from .unseen import with_expected_ideas


class EmbeddedAgent(ABC):
    """An agent for all three roles; a subclass implements the Ideator.

    Args:
        bracket: How many ideas are compared at their screens before the better half of them train on; 1 for none. See `brackets`.

    Raises:
        UsageError: There is no such bracket.
    """

    def __init__(self, bracket: int = 1) -> None:
        if type(bracket) is not int or not 1 <= bracket <= MOST:
            raise UsageError(f"bracket is a whole number from 1 to {MOST}, not {bracket!r}", hint="bracket = 4")
        self._bracket = bracket

    def reply(self, role: Role, context: Context, report: Report = ignore) -> Message:
        """See `autoqec.agents.agent_contract.Agent.reply`."""
        replies: Mapping[Role, Callable[[Context], Message]] = {
            "ideator": lambda told: self._propose(with_expected_ideas(self._propose, told)),
            "coder": write,
            "analyst": analyse,
        }
        return replies[role](context)

    def _propose(self, context: Context) -> HypothesisMessage:
        return in_bracket(self._bracket, self.ideate, context)

    @abstractmethod
    def ideate(self, context: Context) -> HypothesisMessage:
        """Return the Ideator's reply; the hint has the candidate's files as JSON."""


def write(context: Context) -> ProposalMessage:
    """Return the Coder's reply: the files in the hint."""
    hypothesis: HypothesisMessage = context.hypothesis or {"text": ""}
    try:
        files = json.loads(str(hypothesis.get("hint", "")))["files"]
    except (ValueError, KeyError, TypeError):
        # The idea comes from another agent and has no files; fall back to the parent's files or a template.
        files = dict(context.parent_files) or template_files(templates_for(context.environment)[0], context)
    tier = 2 if any(path.endswith(".py") for path in files) else 1
    return {"files": files, "tier": tier, "message": str(hypothesis.get("rationale", ""))}


def analyse(context: Context) -> AnalysisMessage:
    """Return the Analyst's reply: request a verdict if the gain is significant and the costs are within the limits."""
    metrics = context.metrics
    if metrics is None:
        return {"summary": "There are no metrics.", "decision": "ignore", "next_seed": ""}
    if metrics.rung is not None and metrics.rung.out:
        return {
            "summary": f"Rung {metrics.rung.number}: {metrics.rung.in_words()}.",
            "decision": "ignore",
            "next_seed": "Leave this idea, unless it is among the best at its rung.",
        }
    figures = metrics.figures
    low, high = figures.gain_interval
    gain = f"ΔLER {figures.delta_ler:+.5f} [{low:+.5f}, {high:+.5f}] over {figures.shots:,} shots"
    stronger = {name for name, ler in (metrics.references or {}).items() if ler > figures.ler_candidate}
    beats = f"; a lower LER than {', '.join(sorted(stronger))}" if stronger else ""
    too_much = over_limits(metrics, context)
    if too_much:
        return {
            "summary": f"{gain}, but over the limit for {' and '.join(too_much)}.",
            "decision": "ignore",
            "next_seed": "Look for the same gain at lower cost.",
        }
    if low > 0:
        return {
            "summary": f"{gain}: a significant gain{beats}.",
            "decision": "candidate",
            "next_seed": "Refine the change of this round.",
        }
    return {
        "summary": f"{gain}: no significant gain.",
        "decision": "ignore",
        "next_seed": "Try another direction from an earlier round.",
    }
