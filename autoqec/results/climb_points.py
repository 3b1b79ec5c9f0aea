"""The climb of the research on an environment against rounds, seconds and money: the best VERIFIED round so far at each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from autoqec.results.best_so_far import BestSoFar
from autoqec.results.round_spending import Spending, cumulated


@dataclass(frozen=True)
class Climbed:
    """A round as it is placed on the climb.

    Attributes:
        name: `run/number`.
        finished: Whether it has ended.
        spent: What it took.
        best: The best VERIFIED round of its environment up to it; None before there is one.
    """

    name: str
    finished: bool
    spent: Spending
    best: BestSoFar | None


@dataclass(frozen=True)
class ClimbPoint:
    """The state of the climb after a round.

    Attributes:
        round: Its name, `run/number`.
        rounds: How many rounds of those shown have finished up to it, it included.
        spent: What all rounds up to it took.
        best: The best VERIFIED round so far; None before there is one.
    """

    round: str
    rounds: int
    spent: Spending
    best: BestSoFar | None

    @property
    def new(self) -> bool:
        """Whether this round is the best one when it comes."""
        return self.best is not None and self.best.new

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        best = self.best.to_json() if self.best else None
        return {"round": self.round, "rounds": self.rounds, "spent": self.spent.to_json(), "best_so_far": best}


def climb_points(rounds: Iterable[Climbed]) -> list[ClimbPoint]:
    """The climb after each round.

    Args:
        rounds: The rounds of one environment, oldest first.
    """
    known = list(rounds)
    points, finished = [], 0
    for each, spent in zip(known, cumulated(each.spent for each in known), strict=True):
        finished += each.finished
        points.append(ClimbPoint(each.name, finished, spent, each.best))
    return points
