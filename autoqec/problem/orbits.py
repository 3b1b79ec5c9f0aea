"""Orbits: which messages, mechanisms and detectors of a Tanner graph are alike under translation.

Colour refinement (Weisfeiler and Leman 1968) with places: a round of it names a message by the detectors of its mechanism, each
with its place relative to the message's detector and its colour so far; a detector's next colour is its colour and the names of
its messages. After `radius` rounds two messages have one name if and only if they look alike that far. Names are hashes of
integers: they depend neither on priors and observables, nor on the order of detectors and mechanisms, nor on the size of the
code. So one learned factor for each name fits other distances, rounds and physical error rates.

On a torus, places are relative modulo its size. An axis goes around where shifting all detectors along it, the last to the
first, leaves the graph as it is; that is tested, not assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoqec.errors import UsageError
from autoqec.problem.geometry import detector_places
from autoqec.problem.problem import Problem

#: Differences of coordinates are counted in this part of a unit, so that those of any lattice in tenths or thirds are whole.
UNIT = 5040

#: Sizes along x, y and t in `UNIT`s, 0 where an axis does not go around.
Periods = tuple[int, int, int]

NOT_PERIODIC: Periods = (0, 0, 0)

#: Shifts that are tried along an axis, in its smallest steps: the lattices of checks of several types may interleave.
_SHIFTS = (1, 2, 3, 4)

#: With more different names for each message than this, coordinates are not the places of a translation.
_MOST_UNIQUE = 0.8

#: Most pairs of detectors of one mechanism, over all mechanisms.
_MOST_PAIRS = 50_000_000

#: What tells apart the hashes of different things: the message's own detector, another one, a message, a detector, a mechanism.
_SELF, _OTHER, _MESSAGE, _DETECTOR, _MECHANISM = (np.uint64(tag) for tag in range(1, 6))


@dataclass(frozen=True)
class Orbits:
    """Names of what is alike, the finest first; names of two levels are not comparable.

    Attributes:
        messages: Name of each incidence of `Mechanisms`, int64 `[levels, incidences]`.
        mechanisms: Name of each mechanism, int64 `[levels, mechanisms]`.
        detectors: Name of each detector, int64 `[levels, detectors]`; the coarser one tells how many mechanisms flip it.
        periods: Modulo which places are relative.
        placed: Whether the finest names know places. They do not where detectors have no coordinates, or coordinates that make
            nearly every message unique: those are not the places of a translation.
    """

    messages: np.ndarray
    mechanisms: np.ndarray
    detectors: np.ndarray
    periods: Periods
    placed: bool


def find_orbits(problem: Problem, periods: Periods | None = None, *, radius: int = 1) -> Orbits:
    """Name messages, mechanisms and detectors by their neighbourhoods, in time linear in the pairs of detectors of a mechanism.

    The finest level is `radius` rounds with places. The coarser one has differences in time but not in space; without
    coordinates, the levels are one round more and `radius` rounds of plain colour refinement.

    Args:
        problem: The problem.
        periods: Modulo which places are relative; None for the problem's own. A torus whose sizes are multiples of another's
            covers it: with the smaller one's periods, what is alike in both has one name.
        radius: Rounds of refinement.

    Raises:
        UsageError: Mechanisms flip too many detectors.
    """
    graph = _Graph(problem)
    places = detector_places(problem)
    if places is not None:
        own = find_periods(problem) if periods is None else periods
        away = graph.displacements(places, own)
        fine = graph.refine([*away.T], radius)
        if len(np.unique(fine[0])) <= _MOST_UNIQUE * len(fine[0]):
            return _orbits(fine, graph.refine([away[:, 2]], radius), graph.degrees, own, placed=True)
    return _orbits(graph.refine([], radius + 1), graph.refine([], radius), graph.degrees, NOT_PERIODIC, placed=False)


_Names = tuple[np.ndarray, np.ndarray, np.ndarray]


def _orbits(fine: _Names, coarse: _Names, degrees: np.ndarray, periods: Periods, *, placed: bool) -> Orbits:
    pairs = ((fine[0], coarse[0]), (fine[1], coarse[1]), (fine[2], _mixed(degrees.astype(np.uint64))))
    messages, mechanisms, detectors = (np.stack(pair).view(np.int64) for pair in pairs)
    return Orbits(messages, mechanisms, detectors, periods, placed)


class _Graph:
    """The Tanner graph with all ordered pairs of detectors of one mechanism, a detector with itself included."""

    def __init__(self, problem: Problem) -> None:
        mechanisms = problem.mechanisms
        sizes = np.diff(mechanisms.start).astype(np.int64)
        if (pairs := int((sizes**2).sum())) > _MOST_PAIRS:
            raise UsageError(
                f"{problem.name}: its mechanisms flip too many detectors to find orbits: {pairs:,} pairs of one mechanism,"
                f" and at most {_MOST_PAIRS:,} fit in memory",
                hint="use sharing: per_layer",
            )
        self._detector = mechanisms.detector.astype(np.int64)
        self._mechanism = np.repeat(np.arange(len(mechanisms)), sizes)
        self._detectors, self._mechanisms = problem.num_detectors, len(mechanisms)
        partners = np.repeat(sizes, sizes)
        self._own = np.repeat(np.arange(len(self._detector)), partners)
        begin = np.repeat(np.repeat(mechanisms.start[:-1].astype(np.int64), sizes), partners)
        self._other = begin + np.arange(pairs) - np.repeat(np.cumsum(partners) - partners, partners)

    @property
    def degrees(self) -> np.ndarray:
        """How many mechanisms flip each detector, int64 `[detectors]`."""
        return np.bincount(self._detector, minlength=self._detectors)

    def displacements(self, places: np.ndarray, periods: Sequence[int]) -> np.ndarray:
        """Where the second of each pair is, seen from the first, int64 `[pairs, axes]` in `UNIT`s; halfway around is positive."""
        ends = self._detector[self._other], self._detector[self._own]
        away = np.rint((places[ends[0]] - places[ends[1]]) * UNIT).astype(np.int64)
        for axis, period in enumerate(periods):
            if period:
                around = away[:, axis] % period
                away[:, axis] = np.where(2 * around > period, around - period, around)
        return away

    def refine(self, away: Sequence[np.ndarray], radius: int) -> _Names:
        """Names of messages, mechanisms and detectors, uint64, after so many rounds with these displacements of each pair."""
        place = np.where(self._own == self._other, _SELF, _OTHER)
        for axis in away:
            place = _mixed(place ^ _mixed(axis.view(np.uint64)))
        colour = np.zeros(self._detectors, dtype=np.uint64)
        message = np.zeros(len(self._detector), dtype=np.uint64)
        for _ in range(radius):
            seen = _mixed(place ^ _mixed(colour[self._detector[self._other]]))
            message = _mixed(_summed(self._own, seen, len(message)) ^ _MESSAGE)
            around = _summed(self._detector, _mixed(message), self._detectors)
            colour = _mixed(_mixed(colour ^ _DETECTOR) ^ around)
        mechanism = _mixed(_summed(self._mechanism, _mixed(message), self._mechanisms) ^ _MECHANISM)
        return message, mechanism, colour


def _mixed(values: np.ndarray) -> np.ndarray:
    """A bijection of 64-bit integers that leaves no pattern (splitmix64). Weights hold such names: it must not change."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


def _summed(group: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """Sum per group modulo 2^64: the same for any order, and with mixed values, another for almost any other multiset."""
    sums = np.zeros(groups, dtype=np.uint64)
    np.add.at(sums, group, values)
    return sums


def find_periods(problem: Problem) -> Periods:
    """The sizes of a problem's torus.

    An axis of the plane goes around if a mechanism reaches further than half of it, and if a shift of a few steps, around the
    end, maps the Tanner graph onto itself.
    """
    places = detector_places(problem)
    if places is None:
        return NOT_PERIODIC
    grid = np.rint((places - places.min(axis=0)) * UNIT).astype(np.int64)
    found = [_period(problem, grid, axis) for axis in (0, 1)]
    return (found[0], found[1], 0)


def _period(problem: Problem, grid: np.ndarray, axis: int) -> int:
    step = int(np.gcd.reduce(grid[:, axis]))
    if step == 0:
        return 0
    period = int(grid[:, axis].max()) + step
    along = grid[problem.mechanisms.detector, axis]
    begin = problem.mechanisms.start[:-1]
    reach = np.maximum.reduceat(along, begin) - np.minimum.reduceat(along, begin)
    if 2 * int(reach.max()) <= period:
        return 0
    return period if any(_is_symmetry(problem, grid, axis, period, shift * step) for shift in _SHIFTS) else 0


def _is_symmetry(problem: Problem, grid: np.ndarray, axis: int, period: int, shift: int) -> bool:
    """Whether a shift, around the end, maps detectors to detectors and mechanisms to mechanisms."""
    moved = grid.copy()
    moved[:, axis] = (moved[:, axis] + shift) % period
    sizes = [int(size) + 1 for size in grid.max(axis=0)]
    if shift % period == 0 or np.prod(sizes, dtype=float) >= 2.0**62:
        return False
    places, images = (np.ravel_multi_index(tuple(each.T), sizes, mode="clip") for each in (grid, moved))
    order = np.argsort(places)
    found = order[np.searchsorted(places[order], images).clip(max=len(order) - 1)]
    if not np.array_equal(places[found], images) or len(np.unique(places)) < len(places):
        return False
    mechanisms = problem.mechanisms
    owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
    before, after = (
        np.sort(_summed(owner, _mixed(ends.astype(np.uint64)), len(mechanisms)))
        for ends in (mechanisms.detector, found[mechanisms.detector])
    )
    return np.array_equal(before, after)
