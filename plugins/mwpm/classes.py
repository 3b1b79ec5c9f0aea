"""Matching in both logical classes: the lightest error that flips an observable, and the lightest that does not.

As in `matching_kernel`: distances to the boundary, searches from each defect as far as a direct pair may pay, clusters, a dynamic
programme over the subsets of each cluster — here on the double cover, so with one more bit everywhere, the parity.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.compiled_once import compiled_once
from autoqec.decoding.heap import FAR, push

from .boundary_sweeps import Sweeps
from .class_clusters import solve_clusters
from .class_paths import UNKNOWN, flip_clusters, flip_way_out
from .class_room import Room, make_block, make_room, see
from .cover import Cover, lightest_loop, search_from_boundary, search_near
from .matching_kernel import WEIGHTS_PER_NAT
from .matching_records import piece


@piece
def _prepare(
    syndrome: np.ndarray,
    log_odds: np.ndarray,
    parity: np.ndarray,
    ends: np.ndarray,
    weight: np.ndarray,
    fires: np.ndarray,
    solutions: np.ndarray,
) -> tuple[int, bool]:
    """Round weights and make them positive: an edge of negative weight is applied in both solutions.

    Returns:
        Whether the applied edges flip the observable, and whether an edge weighs nothing.
    """
    for detector in range(len(fires)):
        fires[detector] = (syndrome[detector >> 3] >> (detector & 7)) & 1
    turned, nothing = 0, False
    for edge in range(len(log_odds)):
        value = np.int64(np.rint(log_odds[edge] * np.float32(WEIGHTS_PER_NAT)))
        weight[edge] = abs(value)
        nothing = nothing or value == 0
        solutions[0, edge] = solutions[1, edge] = value < 0
        if value < 0:
            turned ^= parity[edge]
            for end in ends[edge]:
                if end >= 0:
                    fires[end] ^= 1
    return turned, nothing


@piece
def _reach(i: int, exits: np.ndarray) -> np.int64:
    """The longest way from a defect on which a direct path to a later one may pay."""
    reach = np.int64(0)
    for j in range(i + 1, len(exits)):
        for turn in range(2):
            reach = max(reach, min(exits[i, 0] + exits[j, turn], exits[i, 1] + exits[j, 1 - turn]))
    return reach


@piece
def _search_pairs(
    defects: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    room: Room,
    exits: np.ndarray,
    pair: np.ndarray,
    arrival: np.ndarray,
    leader: np.ndarray,
) -> None:
    """Search from each defect: writes its exits, its distances to the later ones, its arrivals and its cluster's leader."""
    count = len(defects)
    distance, touched, heap, to_boundary = room.distance, room.touched, room.heap, room.out.reshape(-1, 2)
    for i in range(count):
        leader[i] = i
        exits[i, 0], exits[i, 1] = room.out[2 * defects[i]], room.out[2 * defects[i] + 1]
    for i in range(count - 1):
        source = 2 * defects[i]
        distance[source], arrival[i, source], touched[0] = 0, -1, source
        size = push(heap, 0, np.int64(source))
        reach = _reach(i, exits)
        touches = search_near(
            heap, size, exits[i], reach, to_boundary, room.weight, parity, cover, distance, arrival[i], touched
        )
        for j in range(i + 1, count):
            even, odd = distance[2 * defects[j]], distance[2 * defects[j] + 1]
            pair[i, j, 0], pair[i, j, 1] = even, odd
            if min(even, odd) < FAR and leader[i] != leader[j]:
                old = leader[j]
                for k in range(count):
                    if leader[k] == old:
                        leader[k] = leader[i]
        for touch in range(touches):
            distance[touched[touch]] = FAR


@njit(cache=True, nogil=True)
def solve_shot(
    syndrome: np.ndarray,
    log_odds: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    room: Room,
    told: bool,
    weights: np.ndarray,
    solutions: np.ndarray,
) -> bool:
    """As `both_classes`, with working memory; `told` says that the distances `room.out` are known."""
    turned, nothing = _prepare(syndrome, log_odds, parity, cover.ends, room.weight, room.fires, solutions)
    if told:
        room.out_by[:] = UNKNOWN
        loop, loop_end = lightest_loop(room.weight, parity, cover, room.out)
    else:
        loop, loop_end = search_from_boundary(room.heap, room.weight, parity, cover, room.out, room.out_by)

    defects = np.flatnonzero(room.fires)
    count = len(defects)
    pairs, arrival = room.pair, room.arrival
    if count > len(arrival):
        pairs = np.empty(2 * count * count, dtype=np.int64)
        arrival = np.empty((count, len(room.out)), dtype=np.int32)
    pair = pairs[: 2 * count * count].reshape(count, count, 2)
    exits = np.empty((count, 2), dtype=np.int64)
    leader = np.empty(count, dtype=np.int64)
    _search_pairs(defects, parity, cover, room, exits, pair, arrival, leader)

    total = np.empty(2, dtype=np.int64)
    came_from = np.empty((count, 2), dtype=np.int64)
    cluster = np.empty(count, dtype=np.int64)
    with_whom = np.empty((2, count), dtype=np.int64)
    by = np.empty((2, count), dtype=np.int8)
    clusters = solve_clusters(leader, pair, exits, room, total, came_from, cluster, with_whom, by)
    even, odd = total
    looped = (odd + loop < even, even + loop < odd)
    total[0], total[1] = min(even, odd + loop), min(odd, even + loop)
    if clusters < 0 or max(total[0], total[1]) >= FAR:
        return False

    for flipped in range(2):
        side = flipped ^ turned
        weights[flipped] = total[side]
        flips = solutions[flipped]
        if looped[side]:
            edge = cover.exits[loop_end]
            flips[edge] ^= 1
            flip_way_out(2 * cover.exit_from[loop_end] + (1 - parity[edge]), nothing, parity, cover, room, flips)
            side = 1 - side
        flip_clusters(
            side, clusters, nothing, came_from, cluster, with_whom, by, defects, arrival, parity, cover, room, flips
        )
    return True


@njit(cache=True, nogil=True)
def both_classes(
    syndrome: np.ndarray,
    log_odds: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    weights: np.ndarray,
    solutions: np.ndarray,
) -> bool:
    """The lightest set of edges that explains a syndrome, with the observable left alone and with it flipped.

    A loop that meets neither a defect nor the boundary is not considered: where there is no boundary, the other class may
    be found heavier than it is, or not at all.

    Args:
        syndrome: Bit-packed, uint8 `[ceil(detectors / 8)]`.
        log_odds: Of each edge, float32 `[edges]`, finite; may be negative.
        parity: Whether each edge flips the observable, uint8 `[edges]`.
        cover: The graph.
        weights: Written: of each class, above a common constant, int64 `[2]` in units of 1/`WEIGHTS_PER_NAT`.
        solutions: Written: the edges of each, uint8 `[2, edges]`.

    Returns:
        Whether both were found: false where a cluster is too large or a class cannot be reached.
    """
    room = make_room(len(log_odds), len(cover.start) - 1)
    return solve_shot(syndrome, log_odds, parity, cover, room, False, weights, solutions)


@njit(cache=True, nogil=True)
def add_gap(weights: np.ndarray, solutions: np.ndarray, right: int, loss: np.ndarray, by_log_odds: np.ndarray) -> None:
    """Add the loss of one shot's gap, and its gradient.

    Args:
        weights, solutions: As `both_classes` writes them.
        right: The true class.
        loss: Added to, float32 `[1]`.
        by_log_odds: Added to, float32 `[edges]`.
    """
    gap = np.float32(weights[1 - right] - weights[right]) / np.float32(WEIGHTS_PER_NAT)
    wrong_odds = np.exp(-abs(gap))
    loss[0] += np.log1p(wrong_odds) + max(-gap, np.float32(0.0))
    slope = (wrong_odds if gap > 0 else np.float32(1.0)) / (np.float32(1.0) + wrong_odds)
    for edge in range(len(by_log_odds)):
        by_log_odds[edge] += slope * (np.float32(solutions[right, edge]) - np.float32(solutions[1 - right, edge]))


@compiled_once("the loss of the logical gap", 13)
@njit(cache=True, nogil=True)
def gap_loss(
    syndromes: np.ndarray,
    log_odds: np.ndarray,
    parity: np.ndarray,
    truth: np.ndarray,
    cover: Cover,
    sweeps: Sweeps,
    loss: np.ndarray,
    by_log_odds: np.ndarray,
    left_out: np.ndarray,
) -> None:
    """Add the loss of one observable, `log(1 + exp(-gap))`, and its gradient.

    The gap of a shot is the weight of the best solution in the wrong class less that in the right one. To first order its
    derivative with respect to an edge's weight is whether the wrong solution has it, less whether the right one has.

    Args:
        syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
        log_odds: Of each edge in each shot, float32 `[shots, edges]`.
        parity: Whether each edge flips the observable, uint8 `[edges]`.
        truth: Whether the observable was flipped, bool `[shots]`.
        cover: The graph.
        sweeps: The relaxations of its double cover.
        loss: Added to, float32 `[shots]`, in nats.
        by_log_odds: Added to, float32 `[shots, edges]`.
        left_out: Written: shots of which `both_classes` did not find both, bool `[shots]`.
    """
    weights = np.empty(2, dtype=np.int64)
    solutions = np.empty((2, log_odds.shape[1]), dtype=np.uint8)
    room = make_room(log_odds.shape[1], len(cover.start) - 1)
    block = make_block(log_odds.shape[1], len(cover.start) - 1)
    for shot in range(len(syndromes)):
        told = see(shot, log_odds, parity, cover, sweeps, block, room)
        left_out[shot] = not solve_shot(syndromes[shot], log_odds[shot], parity, cover, room, told, weights, solutions)
        if not left_out[shot]:
            right = 1 if truth[shot] else 0
            add_gap(weights, solutions, right, loss[shot : shot + 1], by_log_odds[shot])
