"""Distances in a graph whose weights never change, for both parities of an observable, computed once.

The weights are PyMatching's, so that a gap belongs to the answer that PyMatching gives: it merges parallel edges in its own
way, and it spreads errors with several decompositions over all of their edges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pymatching
from numba import njit

from autoqec.decoding.heap import FAR, push

from .cover import Cover, double_cover_of, search, search_from_boundary

#: No way, in tables of int32; the sum of two still fits.
NO_WAY = 1 << 30

#: Weights are whole numbers of this fraction of a nat, or of a larger one where paths would not fit int32.
_FINEST = 65536


class StaticGraph(NamedTuple):
    """PyMatching's graph in whole numbers.

    Attributes:
        cover: Its layout.
        weight: Of each edge, int64 `[edges]`, not negative.
        observables: Of each edge, bool `[edges, observables]`.
        toggled: Detectors toggled because edges of negative weight are taken for granted, uint8 `[ceil(detectors / 8)]`.
        granted: The observables of these edges, bool `[observables]`.
        offset: The sum of their weights, in nats; not positive.
        per_nat: Units of weight in a nat.
    """

    cover: Cover
    weight: np.ndarray
    observables: np.ndarray
    toggled: np.ndarray
    granted: np.ndarray
    offset: float
    per_nat: int


class ObservableGraph(NamedTuple):
    """The graph as one observable sees it.

    If all closed walks away from the boundary flip the observable an even number of times, each detector gets a gauge, such
    that an inner edge flips the observable just if the gauges of its ends differ. Then the parity of an inner path is known.

    Attributes:
        cover: Its layout.
        weight: Of each edge, int64 `[edges]`, not negative.
        gauged: Whether the gauges fit all inner edges.
        gauge: Of each detector, uint8 `[detectors]`; where they do not fit, those of a spanning forest.
        parity: Whether each edge flips the observable, without the gauges of its ends, uint8 `[edges]`.
        exits: From each detector to the boundary with each of these parities, int32 `[detectors, 2]`; `NO_WAY` for none.
        loop: The lightest closed walk that flips the observable, through the boundary or not; `NO_WAY` for none.
    """

    cover: Cover
    weight: np.ndarray
    gauged: bool
    gauge: np.ndarray
    parity: np.ndarray
    exits: np.ndarray
    loop: int


class Tables(NamedTuple):
    """Distances for one observable, in the units of `StaticGraph` and with the parities of `ObservableGraph`.

    Attributes:
        gauge: Of each detector, uint8 `[detectors]`.
        exits: From each detector to the boundary with each parity, int32 `[detectors, 2]`.
        pair: Between detectors, without the boundary, int32 `[detectors, detectors, 1 or 2]`: parity 0, or both.
        loop: As in `ObservableGraph`.
    """

    gauge: np.ndarray
    exits: np.ndarray
    pair: np.ndarray
    loop: int


def static_graph(matching: pymatching.Matching, detectors: int, observables: int) -> StaticGraph:
    """Read PyMatching's graph."""
    edges = matching.edges()
    ends = np.array([(a, -1 if b is None else b) for a, b, _ in edges], dtype=np.int32).reshape(-1, 2)
    weights = np.array([fields["weight"] for _, _, fields in edges], dtype=np.float64)
    flips = np.zeros((len(edges), observables), dtype=np.bool_)
    for edge, (_, _, fields) in enumerate(edges):
        flips[edge, list(fields["fault_ids"])] = True
    return graph_of(ends, weights, flips, detectors)


def graph_of(ends: np.ndarray, weights: np.ndarray, flips: np.ndarray, detectors: int) -> StaticGraph:
    """Lay out a graph, which may have parallel edges.

    Args:
        ends: Detectors of each edge, int32 `[edges, 2]`, -1 for the boundary.
        weights: In nats, float64 `[edges]`.
        flips: Observables of each, bool `[edges, observables]`.
        detectors: How many detectors there are.
    """
    toggled = np.zeros(detectors, dtype=np.bool_)
    for pair in ends[weights < 0]:
        toggled[pair[pair >= 0]] ^= True
    per_nat = _FINEST
    while per_nat > 1 and np.abs(weights).max(initial=0.0) * per_nat * (2 * detectors + 1) >= NO_WAY:
        per_nat //= 2
    return StaticGraph(
        cover=double_cover_of(ends, detectors),
        weight=np.rint(np.abs(weights) * per_nat).astype(np.int64),
        observables=flips,
        toggled=np.packbits(toggled, bitorder="little"),
        granted=np.bitwise_xor.reduce(flips[weights < 0], axis=0),
        offset=float(weights[weights < 0].sum()),
        per_nat=per_nat,
    )


def observable_graph(graph: StaticGraph, observable: int) -> ObservableGraph:
    """Return the graph as one observable sees it."""
    detectors = len(graph.cover.start) - 1
    flips = graph.observables[:, observable].astype(np.uint8)
    gauge = np.zeros(detectors, dtype=np.uint8)
    gauged = _gauge(flips, graph.cover, gauge)
    ends = graph.cover.ends
    inner = np.where(ends >= 0, gauge[ends], 0).astype(np.uint8)
    parity = flips ^ inner[:, 0] ^ inner[:, 1]
    exits = np.empty((detectors, 2), dtype=np.int32)
    # An odd closed walk away from the boundary has an edge that the gauges do not fit, so it visits one of these.
    sources = np.unique(ends[(ends >= 0).all(axis=1) & (parity == 1), 0])
    loop = min(int(_loop(graph.weight, parity, graph.cover, sources, exits)), NO_WAY)
    return ObservableGraph(graph.cover, graph.weight, bool(gauged), gauge, parity, exits, loop)


def gauge_of(parity: np.ndarray, cover: Cover) -> np.ndarray | None:
    """Return gauges with which every edge between detectors is even, uint8 `[detectors]`; None if there are none.

    Args:
        parity: Whether each edge flips the observable, uint8 `[edges]`.
        cover: The graph.
    """
    gauge = np.zeros(len(cover.start) - 1, dtype=np.uint8)
    return gauge if _gauge(parity, cover, gauge) else None


@njit(cache=True, nogil=True)
def _gauge(parity: np.ndarray, cover: Cover, gauge: np.ndarray) -> bool:
    waiting = np.empty(len(gauge), dtype=np.int64)
    seen = np.zeros(len(gauge), dtype=np.bool_)
    fits = True
    for root in range(len(gauge)):
        if seen[root]:
            continue
        seen[root] = True
        waiting[0] = root
        size = 1
        while size > 0:
            size -= 1
            here = waiting[size]
            for link in range(cover.start[here], cover.start[here + 1]):
                there = cover.neighbour[link]
                value = gauge[here] ^ parity[cover.through[link]]
                if not seen[there]:
                    seen[there] = True
                    gauge[there] = value
                    waiting[size] = there
                    size += 1
                elif gauge[there] != value:
                    fits = False
    return fits


@njit(cache=True, nogil=True)
def _loop(weight: np.ndarray, parity: np.ndarray, cover: Cover, sources: np.ndarray, exits: np.ndarray) -> np.int64:
    """Write the distances to the boundary, and return the weight of the lightest odd closed walk."""
    detectors = len(exits)
    heap = np.empty(4 * len(weight) + 2, dtype=np.int64)
    distance = np.empty(2 * detectors, dtype=np.int64)
    arrival = np.empty(2 * detectors, dtype=np.int32)
    loop, _ = search_from_boundary(heap, weight, parity, cover, distance, arrival)
    for node in range(2 * detectors):
        exits[node >> 1, node & 1] = min(distance[node], NO_WAY)
    # `search` goes as far as two ways out of together `loop` reach: beyond, a walk cannot be lighter than what is known.
    nowhere = np.zeros((detectors, 2), dtype=np.int64)
    for source in sources:
        distance[:] = FAR
        distance[2 * source] = 0
        size = push(heap, 0, np.int64(2 * source))
        search(heap, size, np.full(2, loop, dtype=np.int64), nowhere, weight, parity, cover, distance, arrival)
        loop = min(loop, distance[2 * source + 1])
    return loop


def tables_of(view: ObservableGraph) -> Tables:
    """Compute the distances between all detectors."""
    detectors = len(view.gauge)
    pair = np.empty((detectors, detectors, 1 if view.gauged else 2), dtype=np.int32)
    nowhere = np.full((detectors, 2), FAR, dtype=np.int64)
    _between(np.arange(detectors), nowhere, view.weight, view.parity, view.cover, pair)
    return Tables(view.gauge, view.exits, pair, view.loop)


def local_tables(view: ObservableGraph, syndrome: np.ndarray) -> tuple[Tables, np.ndarray]:
    """Compute the distances between the detectors that fire, as far as they may pay.

    Args:
        view: The graph.
        syndrome: Bit-packed, uint8 `[ceil(detectors / 8)]`.

    Returns:
        The distances, and a bit-packed syndrome in which all detectors of these tables fire.
    """
    detectors = np.flatnonzero(np.unpackbits(syndrome, bitorder="little"))
    pair = np.empty((len(detectors), len(detectors), 1 if view.gauged else 2), dtype=np.int32)
    to_boundary = np.where(view.exits < NO_WAY, view.exits.astype(np.int64), FAR)
    _between(detectors, to_boundary, view.weight, view.parity, view.cover, pair)
    fires = np.packbits(np.ones(len(detectors), dtype=np.uint8), bitorder="little")
    return Tables(view.gauge[detectors], view.exits[detectors], pair, view.loop), fires


@njit(cache=True, nogil=True)
def _between(
    detectors: np.ndarray,
    to_boundary: np.ndarray,
    weight: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    pair: np.ndarray,
) -> None:
    """Write the distances between detectors, with one parity or both; `to_boundary` as for `search`."""
    nodes = 2 * (len(cover.start) - 1)
    heap = np.empty(4 * len(weight) + 2, dtype=np.int64)
    distance = np.empty(nodes, dtype=np.int64)
    arrival = np.empty(nodes, dtype=np.int32)
    for i in range(len(detectors)):
        source = 2 * detectors[i]
        distance[:] = FAR
        distance[source] = 0
        size = push(heap, 0, np.int64(source))
        home = to_boundary[detectors[i]]
        search(heap, size, home, to_boundary, weight, parity, cover, distance, arrival)
        for j in range(len(detectors)):
            for side in range(pair.shape[2]):
                pair[i, j, side] = min(distance[2 * detectors[j] + side], NO_WAY)
