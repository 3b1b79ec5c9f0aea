"""Prints agents: which one plays which role, and what it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from autoqec.views.console import out, plain
from autoqec.views.installed_text import grid

if TYPE_CHECKING:
    from autoqec.printed_rows import AgentRow


def print_agents(items: Iterable[AgentRow]) -> None:
    """A line for each agent."""
    table = grid("name", "roles", "needs", "distribution")
    for item in items:
        needs = f"not installed: {item['install']}" if item["install"] else item["needs"] or "nothing"
        table.add_row(*(plain(text) for text in (item["name"], ", ".join(item["roles"]), needs, item["distribution"])))
    out().print(table)
