"""Agents: roles, messages, contexts from git, prompts, validation and repair of replies. No vendor code.

Agent plugins import their names from here; each is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.lazy_names import lazy_names

if TYPE_CHECKING:
    from autoqec.agents.agent_contract import (
        ROLES,
        Agent,
        AgentUnavailable,
        CheckingAgent,
        Context,
        Estimate,
        Estimating,
        PastRound,
        Reply,
        Report,
        Role,
        Usage,
        ignore,
    )

__all__ = [
    "ROLES",
    "Agent",
    "AgentUnavailable",
    "CheckingAgent",
    "Context",
    "Estimate",
    "Estimating",
    "PastRound",
    "Reply",
    "Report",
    "Role",
    "Usage",
    "ignore",
]

__getattr__ = lazy_names(
    __name__,
    {
        "agent_contract": (
            "ROLES",
            "Agent",
            "AgentUnavailable",
            "CheckingAgent",
            "Context",
            "Estimate",
            "Estimating",
            "PastRound",
            "Reply",
            "Report",
            "Role",
            "Usage",
            "ignore",
        ),
    },
)
