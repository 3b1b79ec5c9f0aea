"""What rounds took: wall-clock seconds, and the tokens and money of their agents; of one round, and of all up to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any


@dataclass(frozen=True)
class Spending:
    """What a round took, or several together.

    Attributes:
        seconds: Wall clock from claim to close. A round that waits for a reply takes time too.
        untimed: Rounds of which this is not known: they are open, or their claim is not here.
        train_seconds, score_seconds: Of it, training and scoring, as the metrics say.
        verify_seconds: Seconds of the verdict that counts. A round may be verified again after it is closed.
        agent_seconds: Seconds of calls to agents.
        calls: Calls to agents that were started.
        tokens: Their tokens of all kinds; of a call without a reply, the reserved estimate.
        cost: In US dollars, of the calls whose price is known.
        unpriced: Calls whose price is not known.
        unread: Rounds whose trace is damaged, so that their calls are not among these.
    """

    seconds: float = 0.0
    untimed: int = 0
    train_seconds: float = 0.0
    score_seconds: float = 0.0
    verify_seconds: float = 0.0
    agent_seconds: float = 0.0
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    unread: int = 0

    def __add__(self, other: Spending) -> Spending:
        return Spending(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def to_json(self) -> dict[str, Any]:
        """As JSON values, to a millisecond and a millionth of a dollar."""
        digits = {"cost": 6}
        return {
            name: round(value, digits.get(name, 3)) if isinstance(value, float) else value
            for name, value in vars(self).items()
        }


def cumulated(each: Iterable[Spending]) -> list[Spending]:
    """What all rounds up to each one took, it included."""
    return list(accumulate(each))


def total(each: Iterable[Spending]) -> Spending:
    """What all of them took."""
    return sum(each, Spending())
