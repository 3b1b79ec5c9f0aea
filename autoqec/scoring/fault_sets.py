"""Fault sets as shots: exactly w mechanisms fire and no other. Lists all sets in order, or draws them as noise does.

A fault set of weight w has probability P0 times the product of its mechanisms' odds, P0 being that of no fault at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import comb

import numpy as np

from autoqec.problem.problem import Problem
from autoqec.problem.sampling import Shots

#: All sets are listed for these weights only.
LISTED = (1, 2)

#: Beyond so many mechanisms the search for undetectable errors among hyperedges takes minutes and gigabytes.
_MOST_SEARCHED = 4000


def distance_of(problem: Problem) -> tuple[int | None, str]:
    """The fewest errors that flip an observable and no detector, and how it was found.

    Among pieces of errors with one or two detectors the search is exact (stim's `shortest_graphlike_error`); among hyperedges
    it is a search that may miss shorter ones (`search_for_undetectable_logical_errors`), so an upper bound.

    Returns:
        The distance, or None if it cannot be found; and `graphlike`, `upper_bound`, or why there is none.
    """
    if problem.edges is not None:
        try:
            return len(problem.dem.shortest_graphlike_error(ignore_ungraphlike_errors=True)), "graphlike"
        except ValueError:
            return None, "no set of errors flips an observable unseen"
    if problem.circuit is None:
        return None, "an error model with hyperedges is not searched without its circuit"
    if len(problem.mechanisms) > _MOST_SEARCHED:
        return None, f"an error model of hyperedges is not searched beyond {_MOST_SEARCHED:,} mechanisms"
    try:
        found = problem.circuit.search_for_undetectable_logical_errors(
            dont_explore_detection_event_sets_with_size_above=6,
            dont_explore_edges_with_degree_above=6,
            dont_explore_edges_increasing_symptom_degree=True,
        )
    except ValueError:
        return None, "the search found no set of errors that flips an observable unseen"
    return len(found), "upper_bound"


def odds(problem: Problem) -> np.ndarray:
    """`p / (1 - p)` of each mechanism, float64 `[mechanisms]`."""
    priors = problem.mechanisms.priors
    return priors / (1 - priors)


def how_many(problem: Problem, weight: int) -> int:
    """Fault sets of a weight."""
    return comb(len(problem.mechanisms), weight)


def listed(problem: Problem, weight: int, first: int, count: int) -> np.ndarray:
    """Fault sets number `first` to `first + count - 1` of a weight in lexicographic order, int64 `[count, weight]`.

    Raises:
        ValueError: Sets of this weight are not listed.
    """
    if weight not in LISTED:
        raise ValueError(f"fault sets of weight {weight} are not listed")
    ranks = np.arange(first, min(first + count, how_many(problem, weight)), dtype=np.int64)
    if weight == 1:
        return ranks[:, None]
    size = len(problem.mechanisms)
    lower = np.arange(size, dtype=np.int64)
    begins = lower * (2 * size - lower - 1) // 2  # rank of the first pair of each lower member
    one = np.searchsorted(begins[:-1], ranks, side="right") - 1
    return np.stack([one, ranks - begins[one] + one + 1], axis=1)


def drawn(problem: Problem, weight: int, count: int, seed: int) -> np.ndarray:
    """Fault sets as noise draws them, given that exactly so many mechanisms fire; int64 `[count, weight]`, sorted rows.

    Members are drawn one by one in proportion to their odds, and a row with a member twice is drawn again: what is left has
    each set in proportion to the product of its odds.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    cumulated = np.cumsum(odds(problem))
    rows = np.empty((0, weight), dtype=np.int64)
    while len(rows) < count:
        drawn_now = np.searchsorted(cumulated, rng.random((2 * count, weight)) * cumulated[-1], side="right")
        drawn_now.sort(axis=1)
        distinct = np.all([a < b for a, b in pairwise(drawn_now.T)], axis=0) if weight > 1 else slice(None)
        rows = np.concatenate([rows, drawn_now[distinct]])
    return rows[:count]


def shots_of(problem: Problem, sets: np.ndarray) -> Shots:
    """The syndromes of fault sets, and the observables they flip.

    Args:
        problem: The problem that defines the mechanisms.
        sets: int64 `[sets, weight]`.
    """
    rows = np.arange(len(sets))
    return shots_with(problem, len(sets), [(rows, member) for member in sets.T])


def shots_with(problem: Problem, count: int, members: Sequence[tuple[np.ndarray, np.ndarray]]) -> Shots:
    """The shots in which some mechanisms fire.

    Args:
        problem: The problem that defines the mechanisms.
        count: How many shots.
        members: Mechanisms, at most one of each shot at a time: rows, int64, each at most once, and the mechanism in each.
    """
    mechanisms = problem.mechanisms
    detectors = np.zeros((count, problem.num_detectors), dtype=np.uint8)
    observables = np.zeros((count, problem.observable_bytes), dtype=np.uint8)
    for rows, member in members:
        observables[rows] ^= mechanisms.observables[member]
        start, lengths = mechanisms.start[member], np.diff(mechanisms.start)[member]
        touched = np.repeat(rows, lengths)
        within = np.arange(len(touched)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        # A mechanism touches a detector at most once, so no pair of row and detector occurs twice here.
        detectors[touched, mechanisms.detector[np.repeat(start, lengths) + within]] ^= 1
    return Shots(np.packbits(detectors, axis=1, bitorder="little"), observables)
