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


@dataclass(frozen=True)
class Member:
    """A point on the front.

    Attributes:
        point: Which.
        dominates: Names of the points it dominates, sorted.
        confirmed: Whether it is on the front wherever in their intervals the gains truly are; if not, some point that
            costs no more may turn out to gain as much, and a run of the two on the same shots would tell.
    """

    point: Point
    dominates: tuple[str, ...]
    confirmed: bool


def dominates(a: Point, b: Point) -> bool:
    """Whether a costs no more than b and surely gains more.

    Costs are exact. Gains are not: one is greater only when the intervals do not meet. A cheaper round that seems to gain
    as much therefore does not dominate: among a dozen close candidates, pruning by the estimate alone prunes three or four
    that are not worse, and nobody looks at a pruned round again.
    """
    return no_dearer(a, b) and a.interval[0] > b.interval[1]


def front(points: Sequence[Point]) -> list[Member]:
    """The points that no other dominates, best gain first, by their intervals alone; the whole is `autoqec.results.lab_front`."""
    rows = sorted((point.name, point.flops, point.params, point.interval[1]) for point in points)
    members = []
    for kept in _undominated(points):
        flops, params, low = kept.flops, kept.params, kept.interval[0]
        beaten = [name for name, f, p, high in rows if high < low and flops <= f and params <= p]
        rival = any(high >= low and f <= flops and p <= params and name != kept.name for name, f, p, high in rows)
        members.append(Member(kept, tuple(beaten), not rival))
    members.sort(key=lambda m: (-m.point.delta_ler, m.point.flops, m.point.params, m.point.name))
    return members


def no_dearer(a: Point, b: Point) -> bool:
    """Whether a costs no more than b in FLOPs and parameters."""
    return a.flops <= b.flops and a.params <= b.params


def _undominated(points: Sequence[Point]) -> list[Point]:
    """Few points beat all that is beaten: those of which no other is as cheap and as sure of as high a gain."""
    surest: list[Point] = []
    for point in sorted(points, key=lambda point: (point.flops, point.params, -point.interval[0])):
        # Those before it have no more FLOPs.
        if not any(p.interval[0] >= point.interval[0] and p.params <= point.params for p in surest):
            surest.append(point)
    return [point for point in points if not any(dominates(sure, point) for sure in surest)]
