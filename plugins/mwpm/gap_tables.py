"""Distances in the double cover of a graph whose weights never change, computed once.

They are PyMatching's weights, so that a gap belongs to the answer that PyMatching gives. It merges parallel edges in its own
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
        cover: Its double cover.
        weight: Of each edge, int64 `[edges]`, not negative.
        observables: Of each edge, bool `[edges, observables]`.
        toggled: Detectors toggled because edges of negative weight are taken for granted, bool `[detectors]`.
        granted: The observables of these edges, bool `[observables]`.
        per_nat: Units of weight in a nat.
    """

    cover: Cover
    weight: np.ndarray
    observables: np.ndarray
    toggled: np.ndarray
    granted: np.ndarray
    per_nat: int


class Tables(NamedTuple):
    """Distances for one observable, in the units of `StaticGraph`; `NO_WAY` where there is none.

    Attributes:
        exits: From each detector to the boundary with each parity, int32 `[detectors, 2]`.
        pair: Between detectors with each parity, without the boundary, int32 `[detectors, detectors, 2]`.
        loop: The lightest closed walk that flips the observable, through the boundary or not.
    """

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
        toggled=toggled,
        granted=np.bitwise_xor.reduce(flips[weights < 0], axis=0),
        per_nat=per_nat,
    )


def tables_of(graph: StaticGraph, observable: int) -> Tables:
    """Compute the distances for one observable."""
    detectors = len(graph.toggled)
    exits = np.empty((detectors, 2), dtype=np.int32)
    pair = np.empty((detectors, detectors, 2), dtype=np.int32)
    parity = graph.observables[:, observable].astype(np.uint8)
    loop = _fill(graph.weight, parity, graph.cover, exits, pair)
    return Tables(exits, pair, min(int(loop), NO_WAY))


@njit(cache=True, nogil=True)
def _fill(weight: np.ndarray, parity: np.ndarray, cover: Cover, exits: np.ndarray, pair: np.ndarray) -> np.int64:
    detectors = len(exits)
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
        for node in range(2 * detectors):
            pair[source, node >> 1, node & 1] = min(distance[node], NO_WAY)
    return loop
