"""Describes the installed agents for the command line: their roles and requirements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.agents.agent_contract import ROLES
from autoqec.plugins import Registry, missing_packages

if TYPE_CHECKING:
    from autoqec.printed_rows import AgentRow


def describe_agents(registry: Registry) -> list[AgentRow]:
    """Describe every agent: `roles`, `words` (it gets a text prompt), `needs` in words, and `install` if a package is missing."""
    missing = missing_packages(registry)
    return [
        {
            "name": entry.name,
            "roles": list(entry.capabilities.get("roles", ROLES)),
            "words": bool(entry.capabilities.get("words", False)),
            "needs": str(entry.capabilities.get("requires") or entry.capabilities.get("needs") or ""),
            "install": missing.get(entry.name),
            "plugin": entry.plugin,
            "distribution": entry.distribution,
        }
        for entry in registry.all("agent")
    ]
