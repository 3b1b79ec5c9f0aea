"""The Pareto front over (Δ_LER ↑, FLOPs ↓, parameters ↓), respecting intervals. Plain Python: readers import nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A verified round as the front sees it.

    Attributes:
        name: `run/round`.
        delta_ler: Gain over the baseline per shot.
        interval: Its interval.
        flops: FLOPs per shot.
        params: Learned parameters.
    """

    name: str
    delta_ler: float
    interval: tuple[float, float]
    flops: int
    params: int


def dominates(a: Point, b: Point) -> bool:
    """Whether a is at least as good on every axis and surely better on one.

    Costs are exact. Gains are not: a gain counts as better only when the intervals do not meet, and as no worse when a's
    estimate is at least b's. A round is thus never pruned by luck alone at equal cost.
    """
    if a.flops > b.flops or a.params > b.params:
        return False
    if a.interval[0] > b.interval[1]:
        return True
    return a.delta_ler >= b.delta_ler and (a.flops < b.flops or a.params < b.params)


def front(points: Sequence[Point]) -> list[tuple[Point, tuple[str, ...]]]:
    """The points that no other dominates, best gain first, each with the names of those it dominates."""
    kept = [point for point in points if not any(dominates(other, point) for other in points)]
    kept.sort(key=lambda point: (-point.delta_ler, point.flops, point.params, point.name))
    return [(point, tuple(sorted(o.name for o in points if dominates(point, o)))) for point in kept]
