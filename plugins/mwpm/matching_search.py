"""The searches of exact matching: how far each detector is from the boundary, and which pairs of defects are worth matching."""

from __future__ import annotations

import numpy as np

from autoqec.decoding.heap import FAR, VERTEX_BITS, VERTEX_MASK, drop_top, push

from .matching_clusters import MAX_CLUSTER, join
from .matching_graph import Graph
from .matching_records import piece


@piece
def search_boundary(graph: Graph, weight: np.ndarray, heap: np.ndarray, vertices: np.ndarray) -> None:
    """Dijkstra from the boundary.

    Args:
        graph: The matching graph.
        weight: Of each slot, int64 `[slots]`, not negative.
        heap: Room for the queue, int64.
        vertices: Written: `to_boundary` and `exit_slot` of each `VERTEX`.
    """
    size = 0
    for detector in range(vertices.size):
        slot = graph.boundary_slot[detector]
        if slot >= 0:
            vertices[detector].to_boundary = weight[slot]
            vertices[detector].exit_slot = slot
            size = push(heap, size, (weight[slot] << VERTEX_BITS) | detector)
        else:
            vertices[detector].to_boundary = FAR
    while size > 0:
        key = heap[0]
        size = drop_top(heap, size)
        here = key & VERTEX_MASK
        far = key >> VERTEX_BITS
        if far > vertices[here].to_boundary:
            continue
        for link in range(graph.start[here], graph.start[here + 1]):
            there = graph.neighbour[link]
            further = far + weight[graph.through[link]]
            if further < vertices[there].to_boundary:
                vertices[there].to_boundary = further
                vertices[there].exit_slot = graph.through[link]
                size = push(heap, size, (further << VERTEX_BITS) | there)


@piece
def find_pairs(
    count: int,
    defects: np.ndarray,
    graph: Graph,
    weight: np.ndarray,
    chosen: np.ndarray,
    heap: np.ndarray,
    vertices: np.ndarray,
    touched: np.ndarray,
    pairs: np.ndarray,
    pair_observables: np.ndarray,
) -> int:
    """Find the pairs of defects worth matching, and join them to clusters.

    Args:
        count: How many defects there are.
        defects: Each a `DEFECT`; `leader` and `size` are written.
        graph: The matching graph.
        weight: Of each slot, int64 `[slots]`, not negative.
        chosen: The edge each slot stands for, int32 `[slots]`.
        heap: Room for the queue, int64.
        vertices: What `search_boundary` wrote.
        touched: Room for a list of detectors, int32 `[detectors]`.
        pairs: Written, each a `PAIR`.
        pair_observables: Written: observables of the path between the two, uint8 `[pairs, ceil(observables / 8)]`.

    Returns:
        How many pairs there are, or -1 where a cluster is too large.
    """
    for i in range(count):
        vertices[defects[i].detector].rank = i
        defects[i].leader = i
        defects[i].size = 1
    found = 0
    for i in range(count - 1):
        if found >= 0:
            found = _search_from(
                i, count, defects, graph, weight, chosen, heap, vertices, touched, found, pairs, pair_observables
            )
    for i in range(count):
        vertices[defects[i].detector].rank = -1
    return found


@piece
def _search_from(
    i: int,
    count: int,
    defects: np.ndarray,
    graph: Graph,
    weight: np.ndarray,
    chosen: np.ndarray,
    heap: np.ndarray,
    vertices: np.ndarray,
    touched: np.ndarray,
    found: int,
    pairs: np.ndarray,
    pair_observables: np.ndarray,
) -> int:
    """Dijkstra from one defect to the later ones, as far as a direct pair may pay; the rest is as in `find_pairs`."""
    source = defects[i].detector
    home = vertices[source].to_boundary
    reach = home + _furthest(i + 1, count, defects, vertices)
    vertices[source].distance = 0
    touched[0] = source
    touches = 1
    size = push(heap, 0, np.int64(source))
    while size > 0:
        key = heap[0]
        size = drop_top(heap, size)
        here = key & VERTEX_MASK
        far = key >> VERTEX_BITS
        if far > vertices[here].distance:
            continue
        j = vertices[here].rank
        if j >= 0 and j != i:
            if j > i and (found == pairs.size or join(i, j, defects) > MAX_CLUSTER):
                found, size = -1, 0
            elif j > i:
                pairs[found].first = i
                pairs[found].second = j
                pairs[found].distance = far
                _write_path(here, source, vertices, chosen, graph, pair_observables[found])
                found += 1
            continue
        for link in range(graph.start[here], graph.start[here + 1]):
            there = graph.neighbour[link]
            further = far + weight[graph.through[link]]
            vertex = vertices[there]
            if further < vertex.distance and further < home + vertex.to_boundary and further < reach:
                if vertex.distance == FAR:
                    touched[touches] = there
                    touches += 1
                vertices[there].distance = further
                vertices[there].arrival = graph.through[link]
                size = push(heap, size, (further << VERTEX_BITS) | there)
    for touch in range(touches):
        vertices[touched[touch]].distance = FAR
    return found


@piece
def _furthest(first: int, count: int, defects: np.ndarray, vertices: np.ndarray) -> np.int64:
    most = np.int64(0)
    for i in range(first, count):
        most = max(most, vertices[defects[i].detector].to_boundary)
    return most


@piece
def _write_path(
    detector: int, stop: int, vertices: np.ndarray, chosen: np.ndarray, graph: Graph, observables: np.ndarray
) -> None:
    """Write the observables of the edges on the way back from a detector to where its search began."""
    for byte in range(observables.size):
        observables[byte] = 0
    while detector != stop:
        slot = vertices[detector].arrival
        for byte in range(observables.size):
            observables[byte] ^= graph.observables[chosen[slot], byte]
        a, b = graph.slot_ends[slot, 0], graph.slot_ends[slot, 1]
        detector = b if a == detector else a
