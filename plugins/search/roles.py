"""What the embedded agents share: a Coder that writes what the Ideator's hint says, and an Analyst with one rule.

They keep no state: each reply is a function of the context, which is git. Only their Ideators differ, so that a comparison
of them compares ideas.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from autoqec.agents.agent_contract import Context, Report, Role, ignore

from .affording import over_limits
from .space import template_files
from .templates import templates_for


class EmbeddedAgent(ABC):
    """An agent in its three roles; a subclass has the ideas."""

    def reply(self, role: Role, context: Context, report: Report = ignore) -> Mapping[str, Any]:
        """See `autoqec.agents.agent_contract.Agent.reply`."""
        return {"ideator": self.ideate, "coder": write, "analyst": analyse}[role](context)

    @abstractmethod
    def ideate(self, context: Context) -> Mapping[str, Any]:
        """The Ideator's reply; the hint holds the candidate's files as JSON."""


def write(context: Context) -> Mapping[str, Any]:
    """The Coder's reply: the files that the hint holds."""
    hypothesis = context.hypothesis or {}
    try:
        files = json.loads(str(hypothesis.get("hint", "")))["files"]
    except (ValueError, KeyError, TypeError):
        # Another agent had the idea; the nearest thing this one can do is to vary the files it is given.
        files = dict(context.parent_files) or template_files(templates_for(context.environment)[0], context)
    tier = 2 if any(path.endswith(".py") for path in files) else 1
    return {"files": files, "tier": tier, "message": str(hypothesis.get("rationale", ""))}


def analyse(context: Context) -> Mapping[str, Any]:
    """The Analyst's reply: a verdict is asked for when the gain is sure and the costs are within the environment's limits."""
    metrics = context.metrics
    if metrics is None:
        return {"summary": "Nothing was measured.", "decision": "ignore", "next_seed": ""}
    figures = metrics.figures
    low, high = figures.delta_ler_ci
    gain = f"Δ_LER {figures.delta_ler:+.5f} [{low:+.5f}, {high:+.5f}] over {figures.shots:,} shots"
    stronger = {name for name, ler in (metrics.references or {}).items() if ler > figures.ler_candidate}
    beats = f"; below {', '.join(sorted(stronger))}" if stronger else ""
    too_much = over_limits(metrics, context)
    if too_much:
        return {
            "summary": f"{gain}, but over the limit of {' and '.join(too_much)}.",
            "decision": "ignore",
            "next_seed": "Look for the same gain at less cost.",
        }
    if low > 0:
        return {
            "summary": f"{gain}: a sure gain{beats}.",
            "decision": "candidate",
            "next_seed": "Refine what this round changed.",
        }
    return {
        "summary": f"{gain}: no sure gain.",
        "decision": "ignore",
        "next_seed": "Try another direction from an earlier round.",
    }
