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
        confirmed: Whether it is on the front for any true gains within the intervals. If not, some point that costs no more
            may gain as much, and a head-to-head of the two would decide.
    """

    point: Point
    dominates: tuple[str, ...]
    confirmed: bool


def dominates(a: Point, b: Point) -> bool:
    """Whether a costs no more than b and is shown to gain more.

    Costs are exact, gains are not: one gain is greater only if the intervals do not overlap. A cheaper round that merely seems
    to gain as much does not dominate: among a dozen close candidates, pruning by the estimate alone prunes three or four that
    are not worse, and nobody looks at a pruned round again.
    """
    return no_dearer(a, b) and a.interval[0] > b.interval[1]


def front(points: Sequence[Point]) -> list[Member]:
    """The non-dominated points by their intervals alone, best gain first; `autoqec.results.lab_front` has the full rule."""
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
    """A few points that suffice to dominate every dominated point: no other is as cheap with as high a lower end of its gain."""
    surest: list[Point] = []
    for point in sorted(points, key=lambda point: (point.flops, point.params, -point.interval[0])):
        # All points before it have at most as many FLOPs.
        if not any(p.interval[0] >= point.interval[0] and p.params <= point.params for p in surest):
            surest.append(point)
    return [point for point in points if not any(dominates(sure, point) for sure in surest)]
