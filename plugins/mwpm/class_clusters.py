"""Clusters of defects, each solved with each parity by a dynamic programme over its subsets."""

from __future__ import annotations

import numpy as np

from autoqec.decoding.heap import FAR

from .class_room import MAX_CLUSTER, Room
from .matching_records import piece


@piece
def _programme(
    member: np.ndarray,
    pair: np.ndarray,
    exits: np.ndarray,
    best: np.ndarray,
    mate: np.ndarray,
    path: np.ndarray,
    needed: np.ndarray,
) -> None:
    """The least weight of a cluster's subsets with each parity, and the partner of its lowest member.

    Only the subsets are solved that are left when the lowest member leaves with a partner, again and again: where a cluster
    is a chain, few are.

    Args:
        member: Defects of the cluster, int64 `[members]`.
        pair: Distance of defects i < j with each parity, int64 `[defects, defects, 2]`.
        exits: Distance to the boundary with each parity, int64 `[defects, 2]`.
        best: Written, int64 `[2^members, 2]`.
        mate: Written: the partner's place in `member`, -1 for the boundary, int8 `[2^members, 2]`.
        path: Written: the parity of the way there, int8 `[2^members, 2]`.
        needed: Room, bool `[2^members]`, false everywhere, and so again afterwards.
    """
    members = len(member)
    near = np.empty((members, members), dtype=np.bool_)
    for a in range(members):
        for b in range(a + 1, members):
            near[a, b] = min(pair[member[a], member[b], 0], pair[member[a], member[b], 1]) < FAR
    full = (1 << members) - 1
    needed[full] = True
    for left in range(full, 0, -1):
        if needed[left]:
            a = _lowest(left)
            rest = left ^ (1 << a)
            needed[rest] = True
            for b in range(a + 1, members):
                if (rest >> b) & 1 and near[a, b]:
                    needed[rest ^ (1 << b)] = True
    needed[0] = False
    best[0, 0], best[0, 1] = 0, FAR
    for left in range(1, full + 1):
        if needed[left]:
            needed[left] = False
            a = _lowest(left)
            rest = left ^ (1 << a)
            for side in range(2):
                least, with_whom, by = FAR, -1, 0
                for turn in range(2):
                    weight = exits[member[a], turn] + best[rest, side ^ turn]
                    if weight < least:
                        least, with_whom, by = weight, -1, turn
                    for b in range(a + 1, members):
                        if (rest >> b) & 1 and near[a, b]:
                            weight = pair[member[a], member[b], turn] + best[rest ^ (1 << b), side ^ turn]
                            if weight < least:
                                least, with_whom, by = weight, b, turn
                best[left, side], mate[left, side], path[left, side] = least, with_whom, by


@piece
def _lowest(subset: int) -> int:
    a = 0
    while not (subset >> a) & 1:
        a += 1
    return a


@piece
def _follow(
    side: int,
    member: np.ndarray,
    best: np.ndarray,
    mate: np.ndarray,
    path: np.ndarray,
    with_whom: np.ndarray,
    by: np.ndarray,
) -> None:
    """Read a cluster's solution of one parity: `with_whom[i]` (-1 the boundary) and the path's parity `by[i]` (-1 none)."""
    left = (1 << len(member)) - 1
    for each in member:
        by[each] = -1
    if best[left, side] >= FAR:
        left = 0
    while left:
        a = _lowest(left)
        b = mate[left, side]
        turn = path[left, side]
        by[member[a]] = turn
        with_whom[member[a]] = member[b] if b >= 0 else -1
        left ^= 1 << a
        if b >= 0:
            left ^= 1 << b
        side ^= turn


@piece
def solve_clusters(
    leader: np.ndarray,
    pair: np.ndarray,
    exits: np.ndarray,
    room: Room,
    total: np.ndarray,
    came_from: np.ndarray,
    cluster: np.ndarray,
    with_whom: np.ndarray,
    by: np.ndarray,
) -> int:
    """Solve one cluster after another.

    Args:
        leader: A number that the defects of a cluster share, int64 `[defects]`.
        pair, exits: As in `_programme`.
        room: Working memory.
        total: Written: least weight of all clusters together, for each parity, int64 `[2]`.
        came_from: Written: for each cluster and parity, the parity of those before it, int64 `[clusters, 2]`.
        cluster: Written: the cluster of each defect, int64 `[defects]`.
        with_whom, by: Written: each defect's partner in its cluster's solution of each parity, as in `_follow`, `[2, defects]`.

    Returns:
        How many clusters there are, or -1 where one is too large.
    """
    total[0], total[1] = 0, FAR
    cluster[:] = -1
    clusters, large = 0, False
    member = np.empty(MAX_CLUSTER, dtype=np.int64)
    for first in range(len(leader)):
        if cluster[first] < 0 and not large:
            members = 0
            for each in range(first, len(leader)):
                if leader[each] == leader[first]:
                    if members < MAX_CLUSTER:
                        member[members] = each
                    members += 1
                    cluster[each] = clusters
            large = members > MAX_CLUSTER
            if not large:
                own = member[:members]
                _programme(own, pair, exits, room.best, room.mate, room.path, room.needed)
                for side in range(2):
                    _follow(side, own, room.best, room.mate, room.path, with_whom[side], by[side])
                even, odd = room.best[(1 << members) - 1, 0], room.best[(1 << members) - 1, 1]
                before = (total[0], total[1])
                for side in range(2):
                    stay, turn = before[side] + even, before[1 - side] + odd
                    came_from[clusters, side] = side if stay <= turn else 1 - side
                    total[side] = min(stay, turn, FAR)
                clusters += 1
    return -1 if large else clusters
