"""The edges of a solution: paths between defects and to the boundary."""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.decoding.heap import FAR

from .class_room import Room
from .cover import Cover, flip_path, search_from_boundary
from .matching_records import piece

#: In place of the edge by which a node is reached: it is found when it is needed.
UNKNOWN = np.int32(-2)


@njit(cache=True, nogil=True)
def _way_out(node: int, nothing: bool, weight: np.ndarray, parity: np.ndarray, cover: Cover, out: np.ndarray) -> int:
    """The edge by which `search_from_boundary` reaches a node, from the distances alone.

    Of equally short ways that is an exit, else the one over the nearest node, of these the one of the lowest number.

    Args:
        node: The node.
        nothing: Whether an edge of the shot weighs nothing. Then nodes at one distance may have been met in another order.
        weight, parity, cover: The shot's graph.
        out: The distances.

    Returns:
        The edge, or -1 where only the search itself knows.
    """
    detector, side = node >> 1, node & 1
    found, nearest, lowest, doubtful = -1, FAR, -1, False
    for place in range(cover.exit_start[detector], cover.exit_start[detector + 1]):
        edge = cover.exit_of[place]
        if found < 0 and parity[edge] == side and weight[edge] == out[node]:
            found = edge
    if found >= 0:
        return found
    for link in range(cover.start[detector], cover.start[detector + 1]):
        edge = cover.through[link]
        there = 2 * cover.neighbour[link] + (side ^ parity[edge])
        if out[there] + weight[edge] == out[node]:
            if out[there] < nearest:
                found, nearest, lowest, doubtful = edge, out[there], there, weight[edge] == 0
            elif out[there] == nearest and there != lowest:
                doubtful = doubtful or nothing
                if there < lowest:
                    found, lowest = edge, there
    return -1 if doubtful else found


@njit(cache=True, nogil=True)
def flip_way_out(node: int, nothing: bool, parity: np.ndarray, cover: Cover, room: Room, flips: np.ndarray) -> None:
    """Toggle the edges of the lightest path from a node to the boundary."""
    while node >= 0:
        edge = room.out_by[node]
        if edge == UNKNOWN:
            edge = _way_out(node, nothing, room.weight, parity, cover, room.out)
            if edge < 0:
                search_from_boundary(room.heap, room.weight, parity, cover, room.out, room.out_by)
                edge = room.out_by[node]
        flips[edge] ^= 1
        a, b = cover.ends[edge, 0], cover.ends[edge, 1]
        there = 2 * (b if a == node >> 1 else a) + ((node & 1) ^ parity[edge])
        node = -1 if a < 0 or b < 0 else there


@piece
def flip_clusters(
    side: int,
    clusters: int,
    nothing: bool,
    came_from: np.ndarray,
    cluster: np.ndarray,
    with_whom: np.ndarray,
    by: np.ndarray,
    defects: np.ndarray,
    arrival: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    room: Room,
    flips: np.ndarray,
) -> None:
    """Toggle the edges of all clusters' solutions of which the parities add up to `side`."""
    own = np.empty(clusters, dtype=np.int64)
    for number in range(clusters - 1, -1, -1):
        own[number] = side ^ came_from[number, side]
        side = came_from[number, side]
    for i in range(len(defects)):
        turn = by[own[cluster[i]], i]
        if turn >= 0:
            j = with_whom[own[cluster[i]], i]
            if j < 0:
                flip_way_out(2 * defects[i] + turn, nothing, parity, cover, room, flips)
            else:
                flip_path(2 * defects[j] + turn, arrival[i], parity, cover, flips)
