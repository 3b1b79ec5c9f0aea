"""Distances from the boundary in the double cover, of many shots at once.

Every shot has its own weights but the same graph, so one list of relaxations serves a block of shots, one in each lane of the
processor's vectors. Sweeps over the list, forwards and backwards in turn, end when nothing changes any more; that takes six to
eight of them, and a fifth of the time of as many searches with a queue. The distances are the same, because they are whole
numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.decoding.heap import FAR

from .cover import Cover

#: Shots that are swept together.
LANES = 64

#: For fewer shots than this, a search of each is faster.
FEWEST = 12

#: Longer than any path, in lanes of 32 bits; twice this does not fit.
_FAR = np.int32(1 << 30)

#: Weights are cut here, far above `LLR_BOUND`, so that a sum fits its lane.
_HEAVIEST = np.float32(1 << 28)


class Sweeps(NamedTuple):
    """The relaxations of one observable's double cover.

    Attributes:
        edge: The edge of each relaxation, int32 `[2, relaxations]`, once forwards and once backwards.
        one, other: The two nodes that it joins, int32 `[2, relaxations]`.
    """

    edge: np.ndarray
    one: np.ndarray
    other: np.ndarray


def sweeps_of(parity: np.ndarray, cover: Cover) -> Sweeps:
    """List the edges of a double cover that can be reached from the boundary.

    Args:
        parity: Whether each edge flips the observable, uint8 `[edges]`.
        cover: The graph.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = 2 * (len(cover.start) - 1)
    inner = np.flatnonzero((cover.ends >= 0).all(axis=1))
    inner = inner[np.lexsort((cover.ends[inner].max(axis=1), cover.ends[inner].min(axis=1)))]
    edge = np.repeat(inner, 2)
    turn = np.tile([0, 1], len(inner))
    one = 2 * cover.ends[edge, 0] + turn
    other = 2 * cover.ends[edge, 1] + (turn ^ parity[edge])
    links = coo_array((np.ones(len(edge)), (one, other)), shape=(nodes, nodes))
    component = connected_components(links, directed=False)[1]
    begun = np.unique(component[2 * cover.exit_from + parity[cover.exits]])
    reached = np.isin(component[one], begun)

    def both_ways(each: np.ndarray) -> np.ndarray:
        kept = each[reached].astype(np.int32)
        return np.ascontiguousarray(np.stack([kept, kept[::-1]]))

    return Sweeps(edge=both_ways(edge), one=both_ways(one), other=both_ways(other))


@njit(cache=True, nogil=True)
def sweep(
    log_odds: np.ndarray,
    scale: np.float32,
    parity: np.ndarray,
    cover: Cover,
    sweeps: Sweeps,
    across: np.ndarray,
    near: np.ndarray,
) -> None:
    """Compute the distances of a block of shots.

    Args:
        log_odds: Of each edge, float32 `[shots, edges]`; at most `LANES` shots.
        scale: Units of a weight in one nat.
        parity: Whether each edge flips the observable, uint8 `[edges]`.
        cover: The graph.
        sweeps: Its relaxations.
        across: Room for weights, int32 `[edges, LANES]`.
        near: Written: the distance of every node, int32 `[2 detectors, LANES]`.
    """
    shots, edges = log_odds.shape
    for shot in range(shots):
        row = log_odds[shot]
        for edge in range(edges):
            across[edge, shot] = np.int32(min(abs(np.rint(row[edge] * scale)), _HEAVIEST))
    near[:] = _FAR
    for place in range(len(cover.exits)):
        edge = cover.exits[place]
        node = 2 * cover.exit_from[place] + parity[edge]
        for lane in range(LANES):
            near[node, lane] = min(near[node, lane], across[edge, lane])
    before, total, way = np.int64(-1), np.int64(-2), 0
    while total != before:
        before = total
        _relax(sweeps.edge[way], sweeps.one[way], sweeps.other[way], across, near)
        way = 1 - way
        total = np.int64(0)
        for node in range(len(near)):
            for lane in range(LANES):
                total += near[node, lane]


@njit(cache=True, nogil=True)
def _relax(edge: np.ndarray, one: np.ndarray, other: np.ndarray, across: np.ndarray, near: np.ndarray) -> None:
    """Go through the relaxations once."""
    for step in range(len(edge)):
        weight, left, right = across[edge[step]], near[one[step]], near[other[step]]
        for lane in range(LANES):
            here, there = left[lane], right[lane]
            left[lane] = min(here, np.int32(there + weight[lane]))
            right[lane] = min(there, np.int32(here + weight[lane]))


@njit(cache=True, nogil=True)
def unload(near: np.ndarray, lane: int, distance: np.ndarray) -> None:
    """Write the distances of one shot, int64 `[2 detectors]`, `FAR` where there is no way."""
    for node in range(len(near)):
        distance[node] = near[node, lane] if near[node, lane] < _FAR else FAR
