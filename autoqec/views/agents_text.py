"""Prints agents: which one plays which role, and what it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from autoqec.views.console import out
from autoqec.views.fitted_table import Column, print_table

if TYPE_CHECKING:
    from autoqec.printed_rows import AgentRow


def print_agents(items: Iterable[AgentRow]) -> None:
    """A line for each agent."""
    columns = (
        Column("name", least=12, ends=True),
        Column("roles", leaves=2, least=10, wraps=True),
        Column("needs", least=12, wraps=True),
        Column("distribution", leaves=1),
    )
    rows = []
    for item in items:
        needs = f"not installed: {item['install']}" if item["install"] else item["needs"] or "nothing"
        rows.append((item["name"], ", ".join(item["roles"]), needs, item["distribution"]))
    print_table(out(), columns, rows)
