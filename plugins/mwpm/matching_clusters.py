"""Clusters of defects, which are independent: each is solved by dynamic programming over its subsets."""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.decoding.heap import FAR

from .matching_graph import Graph
from .matching_records import piece

#: The dynamic programme takes 2^n n / 2 steps: 25,000 for 12 defects, as much as a general solver.
MAX_CLUSTER = 12


@piece
def _leader_of(i: int, defects: np.ndarray) -> int:
    while defects[i].leader != i:
        i = defects[i].leader
    return i


@piece
def join(i: int, j: int, defects: np.ndarray) -> int:
    """Join the clusters of two defects; returns the size of what they are then in, or 0 where they were in one already."""
    a, b = _leader_of(i, defects), _leader_of(j, defects)
    if a == b:
        return 0
    if a > b:
        a, b = b, a
    defects[b].leader = a
    defects[a].size += defects[b].size
    return defects[a].size


@piece
def solve_clusters(
    count: int,
    defects: np.ndarray,
    found: int,
    pairs: np.ndarray,
    pair_observables: np.ndarray,
    graph: Graph,
    chosen: np.ndarray,
    vertices: np.ndarray,
    member: np.ndarray,
    between: np.ndarray,
    flips: np.ndarray,
    best: np.ndarray,
    partner: np.ndarray,
    observables: np.ndarray,
) -> np.int64:
    """Match the defects of every cluster; a leader is the lowest of its cluster.

    Args:
        count: How many defects there are.
        defects: What is to be matched, each a `DEFECT`; `leader` and `place` are written.
        found: How many pairs there are.
        pairs: Which pairs are worth matching, each a `PAIR`.
        pair_observables: Observables of the path between the two, uint8 `[pairs, ceil(observables / 8)]`.
        graph: The matching graph.
        chosen: The edge each slot stands for, int32 `[slots]`.
        vertices: Their ways to the boundary.
        member: Room for the detectors of a cluster, int32 `[MAX_CLUSTER]`.
        between: Room for their distances, int64 `[MAX_CLUSTER, MAX_CLUSTER]`.
        flips: Room for observables of their paths, uint8 `[MAX_CLUSTER, MAX_CLUSTER, ceil(observables / 8)]`.
        best: Room for the least weight of each subset, int64 `[2^MAX_CLUSTER]`.
        partner: Room for whom its lowest member is matched with, int32 `[2^MAX_CLUSTER]`.
        observables: Changed: the flips of the matching are added, uint8 `[ceil(observables / 8)]`.

    Returns:
        The weight of the matching.
    """
    total = np.int64(0)
    for first in range(count):
        if defects[first].leader != first:
            continue
        if defects[first].size == 1:
            detector = defects[first].detector
            total += vertices[detector].to_boundary
            _add_exit(detector, vertices, chosen, graph, observables)
            continue
        members = _gather_members(first, count, defects, member)
        _lay_out_distances(first, members, defects, found, pairs, pair_observables, between, flips)
        total += _solve_cluster(members, member, between, vertices, best, partner)
        _add_matching(members, member, partner, flips, vertices, chosen, graph, observables)
    return total


@piece
def _gather_members(first: int, count: int, defects: np.ndarray, member: np.ndarray) -> int:
    """List the members of the cluster that a defect leads, and point each at it; returns how many."""
    members = 0
    for i in range(first, count):
        if _leader_of(i, defects) == first:
            member[members] = defects[i].detector
            defects[i].place = members
            defects[i].leader = first
            members += 1
    return members


@piece
def _lay_out_distances(
    first: int,
    members: int,
    defects: np.ndarray,
    found: int,
    pairs: np.ndarray,
    pair_observables: np.ndarray,
    between: np.ndarray,
    flips: np.ndarray,
) -> None:
    """Distances and observables between the members of a cluster, over paths past other members too."""
    for a in range(members):
        for b in range(members):
            between[a, b] = FAR
    for p in range(found):
        if defects[pairs[p].first].leader == first:
            a, b = defects[pairs[p].first].place, defects[pairs[p].second].place
            between[a, b] = between[b, a] = pairs[p].distance
            for byte in range(flips.shape[2]):
                flips[a, b, byte] = flips[b, a, byte] = pair_observables[p, byte]
    if members > 2:
        _close(members, between, flips)


@piece
def _add_matching(
    members: int,
    member: np.ndarray,
    partner: np.ndarray,
    flips: np.ndarray,
    vertices: np.ndarray,
    chosen: np.ndarray,
    graph: Graph,
    observables: np.ndarray,
) -> None:
    """Add the observables of a solved cluster's matching."""
    left = (1 << members) - 1
    while left:
        a = 0
        while not (left >> a) & 1:
            a += 1
        b = partner[left]
        left ^= 1 << a
        if b < 0:
            _add_exit(member[a], vertices, chosen, graph, observables)
        else:
            left ^= 1 << b
            for byte in range(observables.size):
                observables[byte] ^= flips[a, b, byte]


@piece
def _add_exit(detector: int, vertices: np.ndarray, chosen: np.ndarray, graph: Graph, observables: np.ndarray) -> None:
    """Add the observables of the shortest way from a detector to the boundary."""
    while detector >= 0:
        slot = vertices[detector].exit_slot
        for byte in range(observables.size):
            observables[byte] ^= graph.observables[chosen[slot], byte]
        a, b = graph.slot_ends[slot, 0], graph.slot_ends[slot, 1]
        detector = b if a == detector else a


@njit(cache=True, nogil=True)
def _close(members: int, between: np.ndarray, flips: np.ndarray) -> None:
    """Shortest distances over paths past other defects (Floyd and Warshall), with their observables."""
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
    members: int, member: np.ndarray, between: np.ndarray, vertices: np.ndarray, best: np.ndarray, partner: np.ndarray
) -> np.int64:
    """Least weight that pairs the members among themselves or with the boundary.

    Afterwards `partner[set]` is whom the lowest member of a set is matched with when just that set is left: -1 is the
    boundary.
    """
    best[0] = 0
    for left in range(1, 1 << members):
        a = 0
        while not (left >> a) & 1:
            a += 1
        rest = left ^ (1 << a)
        least = best[rest] + vertices[member[a]].to_boundary
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
