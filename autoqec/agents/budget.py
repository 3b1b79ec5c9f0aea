"""Budgets of a run's agents: a call's estimate is reserved before the call, and its usage is counted from the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from autoqec.agents.agent_contract import Estimate
from autoqec.agents.calls import Call
from autoqec.agents.context_parts import BudgetLeft
from autoqec.counted_words import counted
from autoqec.errors import BudgetSpentError


@dataclass(frozen=True)
class Limits:
    """Limits for a run's agents; None for no limit.

    Attributes:
        tokens: Tokens of all kinds together.
        cost: Cost in US dollars.
    """

    tokens: int | None = None
    cost: float | None = None

    def __bool__(self) -> bool:
        return self.tokens is not None or self.cost is not None


@dataclass(frozen=True)
class Spent:
    """The usage of a run's agents.

    Attributes:
        calls: Number of calls that were started.
        tokens: Tokens of all kinds together.
        cost: Cost in US dollars of the calls with a known price.
        unpriced: Number of calls with an unknown price.
    """

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**vars(self), "cost": round(self.cost, 6)}


def spent_on(calls: Iterable[Call]) -> Spent:
    """Sum the usage of calls; a call without an answer counts with its reserved estimate."""
    made = list(calls)
    prices = [call.cost for call in made]
    return Spent(
        calls=len(made),
        tokens=sum(call.tokens for call in made),
        cost=sum(price for price in prices if price is not None),
        unpriced=prices.count(None),
    )


def require_left(limits: Limits, spent: Spent, estimate: Estimate, *, run: str) -> None:
    """Check that a call cannot exceed the remaining budget.

    Raises:
        BudgetSpentError: It could exceed it; or cost is limited, but the price of this call or an earlier one is unknown.
    """
    if limits.cost is not None and (estimate.cost is None or spent.unpriced):
        unpriced = counted(spent.unpriced, "earlier call's", "earlier calls'")
        which = "this model's" if estimate.cost is None else unpriced
        raise BudgetSpentError(
            f"--max-cost cannot be enforced: {which} price is unknown",
            hint='set it in ~/.config/autoqec/config.toml: [prices."<model>"] with input, output, cache_read, cache_write'
            " in dollars per million tokens; or limit tokens instead: --max-tokens N",
        )
    if limits.tokens is not None and spent.tokens + estimate.tokens > limits.tokens:
        raise BudgetSpentError(
            f"run {run} has spent {spent.tokens:,} of {limits.tokens:,} tokens, and the next call may take {estimate.tokens:,}",
            hint=f"autoqec resume {run} --max-tokens {2 * max(limits.tokens, spent.tokens + estimate.tokens)}",
        )
    if limits.cost is not None and spent.cost + (estimate.cost or 0.0) > limits.cost:
        raise BudgetSpentError(
            f"run {run} has spent ${spent.cost:.4f} of ${limits.cost:g}, and the next call may take ${estimate.cost or 0.0:.4f}",
            hint=f"autoqec resume {run} --max-cost {2 * max(limits.cost, spent.cost + (estimate.cost or 0.0)):.2f}",
        )


def left(limits: Limits, spent: Spent) -> BudgetLeft:
    """Return the remaining budget for each limit, for the agents' context."""
    found: BudgetLeft = {}
    if limits.tokens is not None:
        found["tokens"] = max(0, limits.tokens - spent.tokens)
    if limits.cost is not None:
        found["cost"] = round(max(0.0, limits.cost - spent.cost), 4)
    return found
