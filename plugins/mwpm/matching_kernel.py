"""Exact minimum-weight matching with other edge weights in every shot, for syndromes whose defects form small clusters.

PyMatching has no weights per shot, and rebuilding its graph costs hundreds of microseconds. Here the graph stays and the
weights change. For each shot:

1. An edge of negative weight is taken for granted: its ends are toggled, its observables added, its weight made positive.
   The matching then says where to deviate from that.
2. Dijkstra from the boundary gives every detector's distance `b` to it. Dijkstra from each defect i goes only through
   detectors v with `d(i, v) < b(i) + b(v)`, and not past other defects: a pair further apart than its two ways to the
   boundary need not be matched, and a path past a defect is the sum of two shorter ones.
3. Defects joined by such pairs form clusters, which are independent. Each is solved by dynamic programming over its
   subsets, after closing its distances over paths past defects.

A cluster of more than `MAX_CLUSTER` defects is left to a general solver. All sums are of integers, so they are exact.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.decoding.heap import FAR, VERTEX_BITS, VERTEX_MASK, drop_top, push

from .matching_graph import Graph

#: Weights are whole numbers of 1/1024 nat. Beliefs computed on two machines differ in their last bits; rounding away
#: what no shot could resolve makes a replay meet the same weights, ties included, nearly always, and sums exact.
WEIGHTS_PER_NAT = 1024

#: The dynamic programme takes 2^n n / 2 steps: 25,000 for 12 defects, as much as a general solver.
MAX_CLUSTER = 12

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


@njit(cache=True, nogil=True)
def _add_path(
    detector: int, stop: int, arrival: np.ndarray, chosen: np.ndarray, graph: Graph, observables: np.ndarray
) -> None:
    """Add the observables of the edges on the way back from a detector to where its search began."""
    while detector != stop:
        slot = arrival[detector]
        for byte in range(observables.size):
            observables[byte] ^= graph.observables[chosen[slot], byte]
        a, b = graph.slot_ends[slot]
        detector = b if a == detector else a


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
    weight = np.empty(slots, dtype=np.int64)
    chosen = np.zeros(slots, dtype=np.int32)
    heap = np.empty(2 * slots + detectors + 1, dtype=np.int64)
    to_boundary = np.empty(detectors, dtype=np.int64)
    exit_slot = np.empty(detectors, dtype=np.int32)
    distance = np.full(detectors, FAR, dtype=np.int64)
    arrival = np.empty(detectors, dtype=np.int32)
    touched = np.empty(detectors, dtype=np.int32)
    defects = np.empty(detectors, dtype=np.int32)
    rank = np.full(detectors, -1, dtype=np.int32)
    odd = np.zeros(graph.islands, dtype=np.bool_)
    leader = np.empty(detectors, dtype=np.int32)
    cluster_size = np.empty(detectors, dtype=np.int32)
    place = np.empty(detectors, dtype=np.int32)
    most_pairs = detectors * MAX_CLUSTER // 2
    pair = np.empty((most_pairs, 2), dtype=np.int32)
    pair_distance = np.empty(most_pairs, dtype=np.int64)
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
        count = 0
        odd[:] = False
        for detector in range(detectors):
            if fires[detector]:
                defects[count] = detector
                count += 1
                if graph.island[detector] >= 0:
                    odd[graph.island[detector]] ^= True
        if count == 0:
            continue
        if odd.any():
            status[shot] = INFEASIBLE
            continue

        # Distances to the boundary.
        size = 0
        for detector in range(detectors):
            slot = graph.boundary_slot[detector]
            if slot >= 0:
                to_boundary[detector] = weight[slot]
                exit_slot[detector] = slot
                size = push(heap, size, (weight[slot] << VERTEX_BITS) | detector)
            else:
                to_boundary[detector] = FAR
        while size > 0:
            key = heap[0]
            size = drop_top(heap, size)
            here = key & VERTEX_MASK
            far = key >> VERTEX_BITS
            if far > to_boundary[here]:
                continue
            for link in range(graph.start[here], graph.start[here + 1]):
                there = graph.neighbour[link]
                further = far + weight[graph.through[link]]
                if further < to_boundary[there]:
                    to_boundary[there] = further
                    exit_slot[there] = graph.through[link]
                    size = push(heap, size, (further << VERTEX_BITS) | there)

        # Pairs of defects worth matching.
        for i in range(count):
            rank[defects[i]] = i
            leader[i] = i
            cluster_size[i] = 1
        pairs = 0
        for i in range(count - 1):
            source = defects[i]
            home = to_boundary[source]
            reach = np.int64(0)
            for j in range(i + 1, count):
                reach = max(reach, to_boundary[defects[j]])
            reach += home
            distance[source] = 0
            touched[0] = source
            touches = 1
            size = push(heap, 0, np.int64(source))
            while size > 0:
                key = heap[0]
                size = drop_top(heap, size)
                here = key & VERTEX_MASK
                far = key >> VERTEX_BITS
                if far > distance[here]:
                    continue
                j = rank[here]
                if j >= 0 and j != i:
                    if j > i:
                        if pairs == most_pairs:
                            status[shot] = TOO_LARGE
                            break
                        pair[pairs, 0] = i
                        pair[pairs, 1] = j
                        pair_distance[pairs] = far
                        pair_observables[pairs] = 0
                        _add_path(here, source, arrival, chosen, graph, pair_observables[pairs])
                        pairs += 1
                        a, b = i, j
                        while leader[a] != a:
                            a = leader[a]
                        while leader[b] != b:
                            b = leader[b]
                        if a != b:
                            if a > b:
                                a, b = b, a
                            leader[b] = a
                            cluster_size[a] += cluster_size[b]
                            if cluster_size[a] > MAX_CLUSTER:
                                status[shot] = TOO_LARGE
                                break
                    continue
                for link in range(graph.start[here], graph.start[here + 1]):
                    there = graph.neighbour[link]
                    further = far + weight[graph.through[link]]
                    if further < distance[there] and further < home + to_boundary[there] and further < reach:
                        if distance[there] == FAR:
                            touched[touches] = there
                            touches += 1
                        distance[there] = further
                        arrival[there] = graph.through[link]
                        size = push(heap, size, (further << VERTEX_BITS) | there)
            for touch in range(touches):
                distance[touched[touch]] = FAR
            if status[shot] != SOLVED:
                break
        for i in range(count):
            rank[defects[i]] = -1
        if status[shot] != SOLVED:
            continue

        # Clusters, each by itself. A leader is the lowest of its cluster.
        for first in range(count):
            if leader[first] != first:
                continue
            if cluster_size[first] == 1:
                total[shot] += to_boundary[defects[first]]
                _add_exit(defects[first], exit_slot, chosen, graph, answer)
                continue
            members = 0
            for i in range(first, count):
                a = i
                while leader[a] != a:
                    a = leader[a]
                if a == first:
                    member[members] = defects[i]
                    place[i] = members
                    members += 1
                    leader[i] = first
            for a in range(members):
                for b in range(members):
                    between[a, b] = FAR
            for p in range(pairs):
                if leader[pair[p, 0]] == first:
                    a, b = place[pair[p, 0]], place[pair[p, 1]]
                    between[a, b] = between[b, a] = pair_distance[p]
                    flips[a, b] = pair_observables[p]
                    flips[b, a] = pair_observables[p]
            if members > 2:
                _close(between[:members, :members], flips)
            total[shot] += _solve_cluster(member[:members], between, to_boundary, best, partner)
            left = (1 << members) - 1
            while left:
                a = 0
                while not (left >> a) & 1:
                    a += 1
                b = partner[left]
                left ^= 1 << a
                if b < 0:
                    _add_exit(member[a], exit_slot, chosen, graph, answer)
                else:
                    left ^= 1 << b
                    for byte in range(width):
                        answer[byte] ^= flips[a, b, byte]


@njit(cache=True, nogil=True)
def _add_exit(detector: int, exit_slot: np.ndarray, chosen: np.ndarray, graph: Graph, observables: np.ndarray) -> None:
    """Add the observables of the shortest way from a detector to the boundary."""
    while detector >= 0:
        slot = exit_slot[detector]
        for byte in range(observables.size):
            observables[byte] ^= graph.observables[chosen[slot], byte]
        a, b = graph.slot_ends[slot]
        detector = b if a == detector else a


@njit(cache=True, nogil=True)
def _close(between: np.ndarray, flips: np.ndarray) -> None:
    """Shortest distances over paths past other defects (Floyd and Warshall), with their observables."""
    members = len(between)
    for via in range(members):
        for a in range(members):
            for b in range(members):
                detour = between[a, via] + between[via, b]
                if a != b and detour < between[a, b]:
                    between[a, b] = detour
                    for byte in range(flips.shape[2]):
                        flips[a, b, byte] = flips[a, via, byte] ^ flips[via, b, byte]


@njit(cache=True, nogil=True)
def _solve_cluster(
    member: np.ndarray, between: np.ndarray, to_boundary: np.ndarray, best: np.ndarray, partner: np.ndarray
) -> np.int64:
    """Least weight that pairs the members among themselves or with the boundary.

    Afterwards `partner[set]` is whom the lowest member of a set is matched with when just that set is left: -1 is the
    boundary.
    """
    members = len(member)
    best[0] = 0
    for left in range(1, 1 << members):
        a = 0
        while not (left >> a) & 1:
            a += 1
        rest = left ^ (1 << a)
        least = best[rest] + to_boundary[member[a]]
        mate = -1
        for b in range(a + 1, members):
            if (rest >> b) & 1:
                weight = best[rest ^ (1 << b)] + between[a, b]
                if weight < least:
                    least = weight
                    mate = b
        best[left] = least
        partner[left] = mate
    return best[(1 << members) - 1]
