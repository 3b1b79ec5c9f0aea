"""Weighs a set of matching edges by the mechanisms that it can be made of.

Matching adds up the weights of edges. Where one mechanism flips two edges at once, that sum counts it twice, so of two
solutions the truly likelier one can look heavier. Here a solution costs the cheapest way to write it as a sum of
mechanisms, each of which lies within it: the partition of its edges into mechanisms of least total prior weight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.problem.dem import LLR_BOUND, Edges

from .matching_records import piece

#: So many edges that mechanisms join are partitioned exactly, in 2^n steps; of more, the best saving is taken first.
MOST_EXACT = 12


class Makings(NamedTuple):
    """The mechanisms that edges can be made of.

    Attributes:
        alone: Least weight of an edge by itself, float32 `[edges]`: that of the mechanism which is just this edge, or
            else, if there is none, of the cheapest mechanism with it and of its other edges by themselves.
        price: Weight of each mechanism of several edges, float32 `[joints]`.
        edge: Their edges, concatenated, each list ascending, int32.
        edge_start: Edges of joint j are `edge[edge_start[j]:edge_start[j + 1]]`, int32 `[joints + 1]`.
        joint: For each edge, the joints whose first edge it is, concatenated, int32.
        joint_start: Those of edge e are `joint[joint_start[e]:joint_start[e + 1]]`, int32 `[edges + 1]`.
    """

    alone: np.ndarray
    price: np.ndarray
    edge: np.ndarray
    edge_start: np.ndarray
    joint: np.ndarray
    joint_start: np.ndarray


def makings(edges: Edges, llr: np.ndarray) -> Makings:
    """Collect the mechanisms of a matching graph.

    Args:
        edges: The graph.
        llr: Prior log-likelihood ratio of each mechanism, float32 `[mechanisms]`.
    """
    alone = np.full(len(edges), np.inf, dtype=np.float64)
    weights = llr.astype(np.float64)
    edge, start = _odd_edges(edges)
    sizes = np.diff(start)
    lone = np.flatnonzero(sizes == 1)
    np.minimum.at(alone, edge[start[lone]], weights[lone])
    several = np.flatnonzero(sizes > 1).tolist()
    every, begin, price = edge.tolist(), start.tolist(), weights.tolist()
    joints = [(tuple(every[begin[each] : begin[each + 1]]), price[each]) for each in several]
    missing = np.isinf(alone)
    single = np.where(missing, LLR_BOUND, alone)
    for made, weight in joints if missing.any() else ():
        for each in made:
            if missing[each]:
                others = sum(single[other] for other in made if other != each)
                single[each] = min(single[each], weight + others)
    joints.sort()
    first = np.array([made[0] for made, _ in joints], dtype=np.int64)
    return Makings(
        alone=single.astype(np.float32),
        price=np.array([weight for _, weight in joints], dtype=np.float32),
        edge=np.array([each for made, _ in joints for each in made], dtype=np.int32),
        edge_start=np.cumsum([0, *(len(made) for made, _ in joints)]).astype(np.int32),
        joint=np.arange(len(joints), dtype=np.int32),
        joint_start=np.concatenate([[0], np.cumsum(np.bincount(first, minlength=len(edges)))]).astype(np.int32),
    )


def _odd_edges(edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    """The edges that each mechanism has an odd number of times, ascending, and where each mechanism's start."""
    mechanisms = len(edges.start) - 1
    owner = np.repeat(np.arange(mechanisms, dtype=np.int64), np.diff(edges.start))
    pairs, count = np.unique(owner * len(edges) + edges.of_mechanism, return_counts=True)
    owner, edge = np.divmod(pairs[count % 2 == 1], len(edges))
    return edge, np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=mechanisms))])


@piece
def _root(leader: np.ndarray, place: int) -> int:
    while leader[place] != place:
        place = leader[place]
    return place


@njit(cache=True, nogil=True)
def _partition(members: int, alone: np.ndarray, masks: np.ndarray, prices: np.ndarray, best: np.ndarray) -> float:
    """The least weight of all `members` edges: `best[mask]` is that of the edges of a mask."""
    best[0] = 0.0
    for left in range(1, 1 << members):
        low = 0
        while not (left >> low) & 1:
            low += 1
        weight = best[left ^ (1 << low)] + alone[low]
        for each in range(len(masks)):
            mask = masks[each]
            if (mask >> low) & 1 and mask & left == mask:
                weight = min(weight, best[left ^ mask] + prices[each])
        best[left] = weight
    return float(best[(1 << members) - 1])


@njit(cache=True, nogil=True)
def _greedily(mine: np.ndarray, made: Makings, left: np.ndarray) -> float:
    """What the best savings, taken one after another, save on edges that all stand in `left`; these are used up."""
    saved = 0.0
    while True:
        most, chosen = 0.0, -1
        for joint in mine:
            saving, inside = -np.float64(made.price[joint]), True
            for at in range(made.edge_start[joint], made.edge_start[joint + 1]):
                inside = inside and left[made.edge[at]] >= 0
                saving += made.alone[made.edge[at]]
            if inside and saving > most:
                most, chosen = saving, joint
        if chosen < 0:
            return saved
        saved += most
        for at in range(made.edge_start[chosen], made.edge_start[chosen + 1]):
            left[made.edge[at]] = -1


@piece
def _join(chosen: np.ndarray, made: Makings, place: np.ndarray, leader: np.ndarray, found: np.ndarray) -> int:
    """List the mechanisms that save weight within a set of edges, and join the edges of each; returns how many there are."""
    joints = 0
    for i in range(len(chosen)):
        for use in range(made.joint_start[chosen[i]], made.joint_start[chosen[i] + 1]):
            joint = made.joint[use]
            saving, inside = -made.price[joint], True
            for at in range(made.edge_start[joint], made.edge_start[joint + 1]):
                inside = inside and place[made.edge[at]] >= 0
                saving += made.alone[made.edge[at]]
            if inside and saving > 0:
                found[joints] = joint
                joints += 1
                for at in range(made.edge_start[joint], made.edge_start[joint + 1]):
                    leader[_root(leader, place[made.edge[at]])] = _root(leader, i)
    return joints


@njit(cache=True, nogil=True)
def weigh(chosen: np.ndarray, made: Makings, place: np.ndarray) -> float:
    """The least weight of mechanisms that make up a set of edges.

    Args:
        chosen: The edges, ascending, int64.
        made: The mechanisms.
        place: Room, int32 `[edges]`, -1 everywhere, and so again afterwards.
    """
    count = len(chosen)
    for i in range(count):
        place[chosen[i]] = i
    leader = np.arange(count)
    most = 0
    for i in range(count):
        most += made.joint_start[chosen[i] + 1] - made.joint_start[chosen[i]]
    found = np.empty(most, dtype=np.int32)
    joints = _join(chosen, made, place, leader, found)
    total = 0.0
    if joints == 0:
        for i in range(count):
            total += made.alone[chosen[i]]
            place[chosen[i]] = -1
        return total
    size = np.zeros(count, dtype=np.int64)
    for i in range(count):
        leader[i] = _root(leader, i)
        size[leader[i]] += 1
    mine = np.empty(joints, dtype=np.int32)
    large, larges = np.empty(count, dtype=np.int64), 0
    local = np.empty(count, dtype=np.int64)
    alone = np.empty(count, dtype=np.float64)
    for i in range(count):
        if leader[i] != i:
            continue
        if size[i] == 1:
            total += made.alone[chosen[i]]
            continue
        members = 0
        for k in range(count):
            if leader[k] == i:
                local[k], alone[members] = members, made.alone[chosen[k]]
                members += 1
        here = 0
        for each in range(joints):
            if leader[place[made.edge[made.edge_start[found[each]]]]] == i:
                mine[here] = found[each]
                here += 1
        if members > MOST_EXACT:
            large[larges], larges = i, larges + 1
            total += alone[:members].sum()
            continue
        masks, prices = np.zeros(here, dtype=np.int64), np.empty(here, dtype=np.float64)
        for each in range(here):
            prices[each] = made.price[mine[each]]
            for at in range(made.edge_start[mine[each]], made.edge_start[mine[each] + 1]):
                masks[each] |= np.int64(1) << local[place[made.edge[at]]]
        best = np.empty(1 << members, dtype=np.float64)
        total += _partition(members, alone, masks, prices, best)
    for at_large in range(larges):  # last, because it uses `place` up
        here = 0
        for each in range(joints):
            first = made.edge[made.edge_start[found[each]]]
            for k in range(count):
                if chosen[k] == first and leader[k] == large[at_large]:
                    mine[here] = found[each]
                    here += 1
        total -= _greedily(mine[:here], made, place)
    for i in range(count):
        place[chosen[i]] = -1
    return total
