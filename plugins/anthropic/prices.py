"""Prices of models in US dollars per million tokens, and the cost of a call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoqec.agents.agent_contract import Usage

_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens.

    Attributes:
        input: Uncached input.
        output: Output, including thinking.
        cache_read: Input read from the cache.
        cache_write: Input written to the cache for five minutes.
    """

    input: float
    output: float
    cache_read: float
    cache_write: float

    def of(self, usage: Usage) -> float:
        """Return the cost of a usage in US dollars."""
        cost = (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
        )
        return cost / _MILLION


# As of 2026-11-25; `[prices]` in the settings goes before it.
# Sources: https://platform.claude.com/docs/en/about-claude/pricing and the pages of each model below
# https://platform.claude.com/docs/en/models/. For claude-fable-5-2 they give input and output only; its cache prices are the list
# prices that resellers quote. Cache reads of claude-sonnet-5-5 were halved on 2026-10-07. Models without a sourced price are not
# listed; their cost is 'unknown'.
PRICES: Mapping[str, Price] = {
    "claude-fable-5-2": Price(8, 40, 0.20, 10),
    "claude-fable-5-1": Price(10, 50, 0.25, 12.50),
    "claude-fable-5": Price(10, 50, 1, 12.50),
    "claude-mythos-5-1": Price(10, 50, 0.25, 12.50),
    "claude-mythos-5": Price(10, 50, 1, 12.50),
    "claude-opus-5-5": Price(4, 20, 0.20, 5),
    "claude-opus-5": Price(5, 25, 0.50, 6.25),
    "claude-opus-4-8": Price(5, 25, 0.50, 6.25),
    "claude-opus-4-7": Price(5, 25, 0.50, 6.25),
    "claude-opus-4-6": Price(5, 25, 0.50, 6.25),
    "claude-opus-4-5": Price(5, 25, 0.50, 6.25),
    "claude-sonnet-5-5": Price(2, 10, 0.10, 2.50),
    "claude-sonnet-5": Price(2, 10, 0.20, 2.50),
    "claude-sonnet-4-6": Price(3, 15, 0.30, 3.75),
    "claude-sonnet-4-5": Price(3, 15, 0.30, 3.75),
    "claude-haiku-5-5": Price(0.10, 0.50, 0.01, 0.125),
    "claude-haiku-4-5": Price(1, 5, 0.10, 1.25),
}

#: Models with a higher price for all tokens of a call if the prompt is longer than this many tokens.
LONG_PROMPTS: Mapping[str, tuple[int, Price]] = {"claude-haiku-5-5": (100_000, Price(0.50, 2.50, 0.05, 0.625))}

_DATE = re.compile(r"-20\d{6}$")


def price_of(names: Sequence[str], own: Mapping[str, Mapping[str, float]], prompt_tokens: int) -> Price | None:
    """Return the price of a model.

    Args:
        names: The model's name in the response, then the requested name; unknown names are left out.
        own: Prices from the settings, which take precedence. A name with a date at its end also matches without the date.
        prompt_tokens: Tokens of the prompt, cached or not.

    Returns:
        The price; None if it is unknown.
    """
    spelt = [spelling for name in names for spelling in (name, _DATE.sub("", name))]
    for name in spelt:
        if name in own:
            return Price(**own[name])
    # A service that answers with another model than requested charges for the model that answered.
    for name in spelt[:2]:
        if name in LONG_PROMPTS and prompt_tokens > LONG_PROMPTS[name][0]:
            return LONG_PROMPTS[name][1]
        if name in PRICES:
            return PRICES[name]
    return None


def cost_of(names: Sequence[str], own: Mapping[str, Mapping[str, float]], usages: Sequence[Usage]) -> float | None:
    """Return the total cost of requests; None if the price is unknown."""
    cost = 0.0
    for usage in usages:
        price = price_of(names, own, usage.total - usage.output_tokens)
        if price is None:
            return None
        cost += price.of(usage)
    return cost
