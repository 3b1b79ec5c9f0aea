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


class Tables(NamedTuple):
    """Distances for one observable, in the units of `StaticGraph`; `NO_WAY` where there is none.

    If all closed walks away from the boundary flip the observable an even number of times, each detector gets a gauge, such
    that an inner edge flips the observable just if the gauges of its ends differ. Then the parity of a path is known, and one
    distance for each pair is enough. `exits` and `pair` count parity after the gauges are taken off.

    Attributes:
        gauge: Of each detector, uint8 `[detectors]`; 0 in graphs without gauges.
        exits: From each detector to the boundary with each parity, int32 `[detectors, 2]`.
        pair: Between detectors, without the boundary, int32 `[detectors, detectors, 1 or 2]`: parity 0, or both.
        loop: The lightest closed walk that flips the observable, through the boundary or not.
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


def gauge_of(graph: StaticGraph, observable: int) -> np.ndarray | None:
    """Return a gauge for each detector, uint8 `[detectors]`, or None if there is none; see `Tables`."""
    detectors = len(graph.cover.start) - 1
    gauge = np.zeros(detectors, dtype=np.uint8)
    return gauge if _gauge(graph.observables[:, observable].astype(np.uint8), graph.cover, gauge) else None


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


def tables_of(graph: StaticGraph, observable: int) -> Tables:
    """Compute the distances for one observable."""
    found = gauge_of(graph, observable)
    gauge = np.zeros(len(graph.cover.start) - 1, dtype=np.uint8) if found is None else found
    detectors = len(gauge)
    parity = gauged_parity(graph, observable, gauge)
    exits = np.empty((detectors, 2), dtype=np.int32)
    pair = np.empty((detectors, detectors, 2 if found is None else 1), dtype=np.int32)
    loop = _fill(graph.weight, parity, graph.cover, exits, pair)
    return Tables(gauge, exits, pair, min(int(loop), NO_WAY))


def gauged_parity(graph: StaticGraph, observable: int, gauge: np.ndarray) -> np.ndarray:
    """Return whether each edge flips the observable after the gauges of its ends are taken off, uint8 `[edges]`."""
    ends = graph.cover.ends
    inner = np.where(ends >= 0, gauge[ends], 0)
    parity: np.ndarray = graph.observables[:, observable] ^ inner[:, 0] ^ inner[:, 1]
    return parity.astype(np.uint8)


@njit(cache=True, nogil=True)
def _fill(weight: np.ndarray, parity: np.ndarray, cover: Cover, exits: np.ndarray, pair: np.ndarray) -> np.int64:
    detectors, _, parities = pair.shape
    heap = np.empty(4 * len(weight) + 2, dtype=np.int64)
    distance = np.empty(2 * detectors, dtype=np.int64)
    arrival = np.empty(2 * detectors, dtype=np.int32)
    loop, _ = search_from_boundary(heap, weight, parity, cover, distance, arrival)
    for node in range(2 * detectors):
        exits[node >> 1, node & 1] = min(distance[node], NO_WAY)
    nowhere = np.full((detectors, 2), FAR, dtype=np.int64)
    for source in range(detectors):
        distance[:] = FAR
        distance[2 * source] = 0
        size = push(heap, 0, np.int64(2 * source))
        search(heap, size, nowhere[0], nowhere, weight, parity, cover, distance, arrival)
        loop = min(loop, distance[2 * source + 1])
        for there in range(detectors):
            for side in range(parities):
                pair[source, there, side] = min(distance[2 * there + side], NO_WAY)
    return loop
