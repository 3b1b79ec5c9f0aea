"""Agents: roles, messages, contexts from git, prompts, validation and repair of replies. No vendor code.

Agent plugins import their names from here; each is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoqec.agents.agent_contract import (
        ROLES,
        Agent,
        AgentUnavailable,
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

_HOME = {
    "ROLES": "agent_contract",
    "Agent": "agent_contract",
    "AgentUnavailable": "agent_contract",
    "Context": "agent_contract",
    "Estimate": "agent_contract",
    "Estimating": "agent_contract",
    "PastRound": "agent_contract",
    "Reply": "agent_contract",
    "Report": "agent_contract",
    "Role": "agent_contract",
    "Usage": "agent_contract",
    "ignore": "agent_contract",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
