"""What models cost, in US dollars per million tokens, and what that makes of a call's tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoqec.agents.agent_contract import Usage

#: The day the table was last held against its sources; `[prices]` in the settings goes before it.
AS_OF = "2026-11-25"

_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens.

    Attributes:
        input: Read anew.
        output: Written, thinking included.
        cache_read: Read from the cache.
        cache_write: Put into the cache for five minutes.
    """

    input: float
    output: float
    cache_read: float
    cache_write: float

    def of(self, usage: Usage) -> float:
        """What so many tokens cost."""
        cost = (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
        )
        return cost / _MILLION


# Sources: https://platform.claude.com/docs/en/about-claude/pricing and the pages of each model below
# https://platform.claude.com/docs/en/models/. Of claude-fable-5-2 they back input and output; its cache prices are those that
# resellers give as the list price. Cache reads of claude-sonnet-5-5 were halved on 2026-10-07. Models that are not here have no
# price we can back, and are 'unknown'.
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

#: Models whose calls cost more, all tokens of them, where the prompt is longer than so many tokens.
LONG_PROMPTS: Mapping[str, tuple[int, Price]] = {"claude-haiku-5-5": (100_000, Price(0.50, 2.50, 0.05, 0.625))}

_DATE = re.compile(r"-20\d{6}$")


def price_of(names: Sequence[str], own: Mapping[str, Mapping[str, float]], prompt_tokens: int) -> Price | None:
    """The price of a model.

    Args:
        names: Its name as the service says it, then as it was asked for; what is not known is left out.
        own: The prices of the settings, which go first; a name with a date at its end is found without it, too.
        prompt_tokens: Of the prompt, cached or not.

    Returns:
        None if nobody knows it.
    """
    spelt = [spelling for name in names for spelling in (name, _DATE.sub("", name))]
    for name in spelt:
        if name in own:
            return Price(**own[name])
    # A service that answers with another model than it was asked for charges for the one that answered.
    for name in spelt[:2]:
        if name in LONG_PROMPTS and prompt_tokens > LONG_PROMPTS[name][0]:
            return LONG_PROMPTS[name][1]
        if name in PRICES:
            return PRICES[name]
    return None


def cost_of(names: Sequence[str], own: Mapping[str, Mapping[str, float]], usages: Sequence[Usage]) -> float | None:
    """What requests cost together; None where the price is not known."""
    cost = 0.0
    for usage in usages:
        price = price_of(names, own, usage.total - usage.output_tokens)
        if price is None:
            return None
        cost += price.of(usage)
    return cost
