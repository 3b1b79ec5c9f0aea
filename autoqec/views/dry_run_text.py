"""Prints a dry run: prompt sizes, tokens, cost and time of the next round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.counted_words import counted
from autoqec.views.console import out
from autoqec.views.fitted_table import Column, figures, print_table

if TYPE_CHECKING:
    from autoqec.printed_rows import PlanRow


def money_text(cost: float | None) -> str:
    """US dollars, or that the cost is unknown."""
    return "price unknown" if cost is None else f"${cost:.4f}"


def print_plan(plan: PlanRow, rounds: int) -> None:
    """A line for each role, then the sums."""
    columns = (
        Column("role"),
        Column("agent", least=16, ends=True),
        figures("prompt tokens", leaves=1),
        figures("tokens at most", leaves=2),
        figures("cost at most"),
    )
    rows = []
    for call in plan["calls"]:
        words = call["prompt_tokens"] > 0
        asked = (f"{call['tokens']:,}", money_text(call["cost"])) if call["tokens"] else ("–", "–")
        rows.append((call["role"], call["agent"], f"{call['prompt_tokens']:,}" if words else "–", *asked))
    console = out()
    print_table(console, columns, rows)
    cost = None if plan["cost"] is None else rounds * plan["cost"]
    seconds, least = plan["seconds"], plan["seconds_at_most"]
    time = (
        f"about {rounds * seconds:,.0f} s"
        if seconds is not None
        else f"no earlier round to estimate from; {rounds * least:,.0f} s at most"
    )
    console.print(
        f"{counted(rounds, 'round')}: {rounds * plan['tokens']:,} tokens at most, {money_text(cost)}, {time}; no agent was called"
    )
