"""Exact minimum-weight matching with other edge weights in every shot, for syndromes whose defects form small clusters.

PyMatching has no weights per shot, and rebuilding its graph costs hundreds of microseconds. Here the graph stays and the
weights change. For each shot:

1. An edge of negative weight is applied first: its ends are toggled, its observables added, its weight made positive.
   The matching then finds where to deviate from that.
2. Dijkstra from the boundary gives every detector's distance `b` to it. Dijkstra from each defect i goes only through
   detectors v with `d(i, v) < b(i) + b(v)`, and not past other defects: a pair further apart than its two ways to the
   boundary need not be matched, and a path past a defect is the sum of two shorter ones.
3. Defects joined by such pairs form clusters, which are independent. Each is solved by dynamic programming over its
   subsets, after closing its distances over paths past defects.

A general solver takes clusters of more than `MAX_CLUSTER` defects. All sums are of integers, so they are exact.

Steps 2 and 3 are in `matching_search` and `matching_clusters`. Working memory is allocated once for a batch.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.compiled_once import compiled_once
from autoqec.decoding.heap import FAR

from .matching_clusters import MAX_CLUSTER, solve_clusters
from .matching_graph import Graph
from .matching_records import DEFECT, PAIR, VERTEX, piece
from .matching_search import find_pairs, search_boundary

#: Weights are whole numbers of 1/1024 nat. Beliefs computed on two machines differ in their last bits; rounding away
#: what no shot could resolve makes a replay meet the same weights, ties included, nearly always, and sums exact.
WEIGHTS_PER_NAT = 1024

#: How a shot ended.
SOLVED, INFEASIBLE, TOO_LARGE = 0, 1, 2


@njit(cache=True, nogil=True)
def prepare(
    syndrome: np.ndarray,
    log_odds: np.ndarray,
    graph: Graph,
    fires: np.ndarray,
    weight: np.ndarray,
    chosen: np.ndarray,
    observables: np.ndarray,
) -> np.int64:
    """Round one shot's weights and make them positive.

    Args:
        syndrome: Bit-packed, uint8 `[ceil(detectors / 8)]`.
        log_odds: Of each edge, float32 `[edges]`.
        graph: The matching graph.
        fires: Written: detectors to be matched, bool `[detectors]`.
        weight: Written: weight of each slot in units of 1/`WEIGHTS_PER_NAT`, int64 `[slots]`, not negative.
        chosen: Written: the edge each slot stands for, int32 `[slots]`.
        observables: Written: observables of the edges taken for granted, uint8 `[ceil(observables / 8)]`.

    Returns:
        The sum of the negative weights, to be added to the weight of the matching.
    """
    for detector in range(fires.size):
        fires[detector] = (syndrome[detector >> 3] >> (detector & 7)) & 1
    weight[:] = FAR
    observables[:] = 0
    granted = np.int64(0)
    for edge in range(log_odds.size):
        value = np.int64(np.rint(log_odds[edge] * np.float32(WEIGHTS_PER_NAT)))
        if value < 0:
            granted += value
            value = -value
            fires[graph.ends[edge, 0]] ^= True
            if graph.ends[edge, 1] >= 0:
                fires[graph.ends[edge, 1]] ^= True
            for byte in range(observables.size):
                observables[byte] ^= graph.observables[edge, byte]
        slot = graph.slot[edge]
        if value < weight[slot]:
            weight[slot] = value
            chosen[slot] = edge
    return granted


@piece
def _find_defects(fires: np.ndarray, island: np.ndarray, odd: np.ndarray, defects: np.ndarray) -> int:
    """List the detectors to be matched; returns how many, or -1 where an island has an odd number of them."""
    count = 0
    odd[:] = False
    for detector in range(fires.size):
        if fires[detector]:
            defects[count].detector = detector
            count += 1
            if island[detector] >= 0:
                odd[island[detector]] ^= True
    return -1 if odd.any() else count


@compiled_once("the matching decoder", 9)
@njit(cache=True, nogil=True)
def match(
    syndromes: np.ndarray,
    log_odds: np.ndarray,
    graph: Graph,
    observables: np.ndarray,
    total: np.ndarray,
    status: np.ndarray,
) -> None:
    """Decode a batch.

    Args:
        syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
        log_odds: Of each edge in each shot, float32 `[shots, edges]`, finite.
        graph: The matching graph.
        observables: Written: predicted flips, bit-packed, uint8 `[shots, ceil(observables / 8)]`.
        total: Written: weight of the solution in units of 1/`WEIGHTS_PER_NAT`, int64 `[shots]`.
        status: Written: `SOLVED`, `INFEASIBLE` or `TOO_LARGE`, uint8 `[shots]`; what is written for the latter two means
            nothing.
    """
    shots, width = observables.shape
    detectors = graph.boundary_slot.size
    slots = graph.slot_ends.shape[0]
    fires = np.zeros(detectors, dtype=np.bool_)
    odd = np.zeros(graph.islands, dtype=np.bool_)
    weight = np.empty(slots, dtype=np.int64)
    chosen = np.zeros(slots, dtype=np.int32)
    heap = np.empty(2 * slots + detectors + 1, dtype=np.int64)
    vertices = np.empty(detectors, dtype=VERTEX)
    for detector in range(detectors):
        vertices[detector].distance = FAR
        vertices[detector].rank = -1
    touched = np.empty(detectors, dtype=np.int32)
    defects = np.empty(detectors, dtype=DEFECT)
    most_pairs = detectors * MAX_CLUSTER // 2
    pairs = np.empty(most_pairs, dtype=PAIR)
    pair_observables = np.empty((most_pairs, width), dtype=np.uint8)
    member = np.empty(MAX_CLUSTER, dtype=np.int32)
    between = np.empty((MAX_CLUSTER, MAX_CLUSTER), dtype=np.int64)
    flips = np.empty((MAX_CLUSTER, MAX_CLUSTER, width), dtype=np.uint8)
    best = np.empty(1 << MAX_CLUSTER, dtype=np.int64)
    partner = np.empty(1 << MAX_CLUSTER, dtype=np.int32)
    for shot in range(shots):
        status[shot] = SOLVED
        answer = observables[shot]
        total[shot] = prepare(syndromes[shot], log_odds[shot], graph, fires, weight, chosen, answer)
        count = _find_defects(fires, graph.island, odd, defects)
        if count == 0:
            continue
        if count < 0:
            status[shot] = INFEASIBLE
            continue
        search_boundary(graph, weight, heap, vertices)
        found = find_pairs(count, defects, graph, weight, chosen, heap, vertices, touched, pairs, pair_observables)
        if found < 0:
            status[shot] = TOO_LARGE
            continue
        total[shot] += solve_clusters(
            count, defects, found, pairs, pair_observables, graph, chosen, vertices, member, between, flips, best,
            partner, answer,
        )  # fmt: skip
