"""The double cover of a matching graph: each detector has two nodes, one per parity of the observable along the path to it.

An edge that flips the observable leads from one copy to the other, so a path in the cover has a definite parity. Node
`2 d + parity` is detector d. Weights are integers, as in `matching_kernel`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.decoding.heap import FAR, VERTEX_BITS, VERTEX_MASK, drop_top, push
from autoqec.problem.dem import Edges


class Cover(NamedTuple):
    """The matching graph as the double cover is searched.

    Attributes:
        ends: Detectors of each edge, int32 `[edges, 2]`, -1 for the boundary.
        start: Links of detector d are `start[d]:start[d + 1]`, int32 `[detectors + 1]`.
        neighbour: Where a link leads, int32; an edge to the boundary is no link.
        through: Edge of a link, int32.
        exits: Edges to the boundary, int32.
        exit_from: The detector of each, int32.
        exit_start: Edges from detector d to the boundary are `exit_of[exit_start[d]:exit_start[d + 1]]`, int32 `[detectors + 1]`.
        exit_of: Edges to the boundary by detector, those of one detector in the order of `exits`, int32.
    """

    ends: np.ndarray
    start: np.ndarray
    neighbour: np.ndarray
    through: np.ndarray
    exits: np.ndarray
    exit_from: np.ndarray
    exit_start: np.ndarray
    exit_of: np.ndarray


def double_cover(edges: Edges, detectors: int) -> Cover:
    """Lay out the edges of a problem."""
    return double_cover_of(edges.ends.astype(np.int32), detectors)


def double_cover_of(ends: np.ndarray, detectors: int) -> Cover:
    """Lay out edges given by their ends, int32 `[edges, 2]`, -1 for the boundary."""
    inner = np.flatnonzero((ends >= 0).all(axis=1))
    exits = np.flatnonzero((ends < 0).any(axis=1))
    here = np.concatenate([ends[inner, 0], ends[inner, 1]])
    there = np.concatenate([ends[inner, 1], ends[inner, 0]])
    order = np.argsort(here, kind="stable")
    exit_from = ends[exits].max(axis=1)
    return Cover(
        ends=np.ascontiguousarray(ends),
        start=np.concatenate([[0], np.cumsum(np.bincount(here, minlength=detectors))]).astype(np.int32),
        neighbour=there[order].astype(np.int32),
        through=np.concatenate([inner, inner])[order].astype(np.int32),
        exits=exits.astype(np.int32),
        exit_from=exit_from.astype(np.int32),
        exit_start=np.concatenate([[0], np.cumsum(np.bincount(exit_from, minlength=detectors))]).astype(np.int32),
        exit_of=exits[np.argsort(exit_from, kind="stable")].astype(np.int32),
    )


@njit(cache=True, nogil=True)
def search_near(
    heap: np.ndarray,
    size: int,
    home: np.ndarray,
    reach: np.int64,
    to_boundary: np.ndarray,
    weight: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    distance: np.ndarray,
    arrival: np.ndarray,
    touched: np.ndarray,
) -> int:
    """As `search` from a single node, no further than `reach`.

    Args:
        heap, size, home, to_boundary, weight, parity, cover, arrival: As in `search`; `arrival` is written where it goes.
        reach: A distance at which nothing is looked for any more.
        distance: Read and written, int64 `[2 detectors]`, `FAR` but for the source.
        touched: Nodes with a distance: the first is the source, and the others are written, int32 `[2 detectors]`.

    Returns:
        How many nodes have a distance.
    """
    everywhere = home[0] >= FAR and home[1] >= FAR
    even, odd = home[0], home[1]
    touches = 1
    while size > 0:
        key = heap[0]
        size = drop_top(heap, size)
        here = key & VERTEX_MASK
        far = key >> VERTEX_BITS
        if far > distance[here]:
            continue
        detector, side = here >> 1, here & 1
        for link in range(cover.start[detector], cover.start[detector + 1]):
            edge = cover.through[link]
            turn = side ^ parity[edge]
            there = 2 * cover.neighbour[link] + turn
            further = far + weight[edge]
            if further >= distance[there] or further >= reach:
                continue
            other, same = to_boundary[there >> 1, 1 - turn], to_boundary[there >> 1, turn]
            if not everywhere and further >= min(even + same, odd + other):
                continue
            if distance[there] == FAR:
                touched[touches] = there
                touches += 1
            distance[there] = further
            arrival[there] = edge
            size = push(heap, size, (further << VERTEX_BITS) | there)
    return touches


@njit(cache=True, nogil=True)
def search(
    heap: np.ndarray,
    size: int,
    home: np.ndarray,
    to_boundary: np.ndarray,
    weight: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    distance: np.ndarray,
    arrival: np.ndarray,
) -> None:
    """Dijkstra from the nodes on the heap.

    From a defect it goes only where a direct path beats two ways to the boundary of the same joint parity. Both ways obey
    the triangle inequality, so a path through a node where it does not pay pays nowhere beyond.

    Args:
        heap: Room for the queue, int64; its first `size` entries are `distance << VERTEX_BITS | node`.
        size: How many nodes it starts with; their distances are set.
        home: The source's distance to the boundary with parity 0 and 1, int64 `[2]`; `FAR` both to go everywhere.
        to_boundary: Every detector's, int64 `[detectors, 2]`.
        weight: Of each edge, not negative, int64 `[edges]`.
        parity: Whether each edge flips the observable, uint8 `[edges]`.
        cover: The graph.
        distance: Read and written, int64 `[2 detectors]`.
        arrival: Written: the edge a node was reached by, int32 `[2 detectors]`.
    """
    touched = np.empty(len(distance) + 1, dtype=np.int32)
    search_near(heap, size, home, FAR, to_boundary, weight, parity, cover, distance, arrival, touched)


@njit(cache=True, nogil=True)
def search_from_boundary(
    heap: np.ndarray,
    weight: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    distance: np.ndarray,
    arrival: np.ndarray,
) -> tuple[np.int64, int]:
    """Distances from the boundary, and the lightest way from boundary to boundary that flips the observable.

    Returns:
        That loop's weight, and which of `cover.exits` it ends with; the rest of it leads to the other copy of the exit's
        detector.
    """
    distance[:] = FAR
    arrival[:] = -1
    size = 0
    for place in range(len(cover.exits)):
        edge = cover.exits[place]
        node = 2 * cover.exit_from[place] + parity[edge]
        if weight[edge] < distance[node]:
            distance[node] = weight[edge]
            arrival[node] = edge
            size = push(heap, size, (weight[edge] << VERTEX_BITS) | node)
    nowhere = np.full(2, FAR, dtype=np.int64)
    search(heap, size, nowhere, distance.reshape(-1, 2), weight, parity, cover, distance, arrival)
    return lightest_loop(weight, parity, cover, distance)


@njit(cache=True, nogil=True)
def lightest_loop(weight: np.ndarray, parity: np.ndarray, cover: Cover, distance: np.ndarray) -> tuple[np.int64, int]:
    """What `search_from_boundary` returns, from the distances that it writes."""
    loop, last = FAR, -1
    for place in range(len(cover.exits)):
        edge = cover.exits[place]
        closed = distance[2 * cover.exit_from[place] + (1 - parity[edge])] + weight[edge]
        if closed < loop:
            loop, last = closed, place
    return loop, last


@njit(cache=True, nogil=True)
def flip_path(node: int, arrival: np.ndarray, parity: np.ndarray, cover: Cover, flips: np.ndarray) -> None:
    """Toggle the edges of the path on which a node was reached, uint8 `[edges]`."""
    while arrival[node] >= 0:
        edge = arrival[node]
        flips[edge] ^= 1
        a, b = cover.ends[edge, 0], cover.ends[edge, 1]
        if a < 0 or b < 0:
            return
        node = 2 * (b if a == node >> 1 else a) + ((node & 1) ^ parity[edge])
