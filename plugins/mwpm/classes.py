"""Matching in both logical classes: the lightest error that flips an observable, and the lightest that does not.

As in `matching_kernel`: distances to the boundary, searches from each defect as far as a direct pair may pay, clusters, a dynamic
programme over the subsets of each cluster — here on the double cover, so with one more bit everywhere, the parity.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.compiled_once import compiled_once
from autoqec.decoding.heap import FAR, push

from .cover import Cover, flip_path, search, search_from_boundary
from .matching_kernel import WEIGHTS_PER_NAT
from .matching_records import piece

#: A shot with a cluster of more defects is left to the general solver (`forced_classes`): the programme takes 2^n n steps.
MAX_CLUSTER = 14


@njit(cache=True, nogil=True)
def _programme(
    member: np.ndarray, pair: np.ndarray, exits: np.ndarray, best: np.ndarray, mate: np.ndarray, path: np.ndarray
) -> None:
    """The least weight of each subset of a cluster with each parity, and the partner of its lowest member.

    Args:
        member: Defects of the cluster, int64 `[members]`.
        pair: Distance of defects i < j with each parity, int64 `[defects, defects, 2]`.
        exits: Distance to the boundary with each parity, int64 `[defects, 2]`.
        best: Written, int64 `[2^members, 2]`.
        mate: Written: the partner's place in `member`, -1 for the boundary, int8 `[2^members, 2]`.
        path: Written: the parity of the way there, int8 `[2^members, 2]`.
    """
    best[0, 0], best[0, 1] = 0, FAR
    for left in range(1, 1 << len(member)):
        a = 0
        while not (left >> a) & 1:
            a += 1
        rest = left ^ (1 << a)
        for side in range(2):
            best[left, side] = FAR
            for turn in range(2):
                weight = exits[member[a], turn] + best[rest, side ^ turn]
                if weight < best[left, side]:
                    best[left, side], mate[left, side], path[left, side] = weight, -1, turn
                for b in range(a + 1, len(member)):
                    if (rest >> b) & 1:
                        weight = pair[member[a], member[b], turn] + best[rest ^ (1 << b), side ^ turn]
                        if weight < best[left, side]:
                            best[left, side], mate[left, side], path[left, side] = weight, b, turn


@njit(cache=True, nogil=True)
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
    by[:] = -1
    left = (1 << len(member)) - 1
    if best[left, side] >= FAR:
        return
    while left:
        a = 0
        while not (left >> a) & 1:
            a += 1
        b = mate[left, side]
        turn = path[left, side]
        by[member[a]] = turn
        with_whom[member[a]] = member[b] if b >= 0 else -1
        left ^= 1 << a
        if b >= 0:
            left ^= 1 << b
        side ^= turn


@piece
def _prepare(
    syndrome: np.ndarray,
    log_odds: np.ndarray,
    parity: np.ndarray,
    ends: np.ndarray,
    weight: np.ndarray,
    fires: np.ndarray,
    solutions: np.ndarray,
) -> int:
    """Round weights and make them positive: an edge of negative weight is applied in both solutions.

    Returns:
        Whether the applied edges flip the observable.
    """
    for detector in range(len(fires)):
        fires[detector] = (syndrome[detector >> 3] >> (detector & 7)) & 1
    turned = 0
    for edge in range(len(log_odds)):
        value = np.int64(np.rint(log_odds[edge] * np.float32(WEIGHTS_PER_NAT)))
        weight[edge] = abs(value)
        solutions[0, edge] = solutions[1, edge] = value < 0
        if value < 0:
            turned ^= parity[edge]
            for end in ends[edge]:
                if end >= 0:
                    fires[end] ^= 1
    return turned


@piece
def _search_pairs(
    defects: np.ndarray,
    to_boundary: np.ndarray,
    heap: np.ndarray,
    weight: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    exits: np.ndarray,
    pair: np.ndarray,
    distance: np.ndarray,
    arrival: np.ndarray,
    leader: np.ndarray,
) -> None:
    """Search from each defect: writes its exits, its distances to the later ones, its arrivals and its cluster's leader."""
    count = len(defects)
    for i in range(count):
        exits[i] = to_boundary[defects[i]]
        source = 2 * defects[i]
        distance[i, source] = 0
        size = push(heap, 0, np.int64(source))
        search(heap, size, exits[i], to_boundary, weight, parity, cover, distance[i], arrival[i])
        for j in range(i + 1, count):
            pair[i, j] = distance[i, 2 * defects[j] : 2 * defects[j] + 2]
            if pair[i, j].min() < FAR and leader[i] != leader[j]:
                old = leader[j]
                for k in range(count):
                    if leader[k] == old:
                        leader[k] = leader[i]


@piece
def _solve_clusters(
    leader: np.ndarray,
    pair: np.ndarray,
    exits: np.ndarray,
    total: np.ndarray,
    came_from: np.ndarray,
    with_whom: np.ndarray,
    by: np.ndarray,
) -> int:
    """Solve one cluster after another.

    Args:
        leader: A number that the defects of a cluster share, int64 `[defects]`; used up.
        pair, exits: As in `_programme`.
        total: Written: least weight of all clusters together, for each parity, int64 `[2]`.
        came_from: Written: for each cluster and parity, the parity of those before it, int64 `[clusters, 2]`.
        with_whom, by: Written: each cluster's solution of each parity, as in `_follow`.

    Returns:
        How many clusters there are, or -1 where one is too large.
    """
    total[0], total[1] = 0, FAR
    clusters = 0
    for first in range(len(leader)):
        if leader[first] < 0:
            continue
        member = np.flatnonzero(leader == leader[first])
        if len(member) > MAX_CLUSTER:
            return -1
        leader[member] = -1
        subsets = 1 << len(member)
        best = np.empty((subsets, 2), dtype=np.int64)
        mate = np.empty((subsets, 2), dtype=np.int8)
        path = np.empty((subsets, 2), dtype=np.int8)
        _programme(member, pair, exits, best, mate, path)
        for side in range(2):
            _follow(side, member, best, mate, path, with_whom[clusters, side], by[clusters, side])
        before = total.copy()
        for side in range(2):
            stay = before[side] + best[subsets - 1, 0]
            turn = before[1 - side] + best[subsets - 1, 1]
            came_from[clusters, side] = side if stay <= turn else 1 - side
            total[side] = min(stay, turn, FAR)
        clusters += 1
    return clusters


@piece
def _flip_clusters(
    side: int,
    clusters: int,
    came_from: np.ndarray,
    with_whom: np.ndarray,
    by: np.ndarray,
    defects: np.ndarray,
    out_by: np.ndarray,
    arrival: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    flips: np.ndarray,
) -> None:
    """Toggle the edges of all clusters' solutions of which the parities add up to `side`."""
    for cluster in range(clusters - 1, -1, -1):
        own = side ^ came_from[cluster, side]
        for i in range(len(defects)):
            turn = by[cluster, own, i]
            if turn < 0:
                continue
            j = with_whom[cluster, own, i]
            if j < 0:
                flip_path(2 * defects[i] + turn, out_by, parity, cover, flips)
            else:
                flip_path(2 * defects[j] + turn, arrival[i], parity, cover, flips)
        side = came_from[cluster, side]


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
    detectors, edges = len(cover.start) - 1, len(log_odds)
    weight = np.empty(edges, dtype=np.int64)
    fires = np.empty(detectors, dtype=np.uint8)
    turned = _prepare(syndrome, log_odds, parity, cover.ends, weight, fires, solutions)
    defects = np.flatnonzero(fires)
    count = len(defects)
    heap = np.empty(4 * edges + 2, dtype=np.int64)
    out = np.empty(2 * detectors, dtype=np.int64)
    out_by = np.empty(2 * detectors, dtype=np.int32)
    loop, loop_end = search_from_boundary(heap, weight, parity, cover, out, out_by)

    exits = np.empty((count, 2), dtype=np.int64)
    pair = np.full((count, count, 2), FAR, dtype=np.int64)
    distance = np.full((count, 2 * detectors), FAR, dtype=np.int64)
    arrival = np.full((count, 2 * detectors), -1, dtype=np.int32)
    leader = np.arange(count)
    to_boundary = out.reshape(detectors, 2)
    _search_pairs(defects, to_boundary, heap, weight, parity, cover, exits, pair, distance, arrival, leader)

    total = np.empty(2, dtype=np.int64)
    came_from = np.empty((count, 2), dtype=np.int64)
    with_whom = np.empty((count, 2, count), dtype=np.int64)
    by = np.empty((count, 2, count), dtype=np.int8)
    clusters = _solve_clusters(leader, pair, exits, total, came_from, with_whom, by)
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
            flips[cover.exits[loop_end]] ^= 1
            flip_path(2 * cover.exit_from[loop_end] + (1 - parity[cover.exits[loop_end]]), out_by, parity, cover, flips)
            side = 1 - side
        _flip_clusters(side, clusters, came_from, with_whom, by, defects, out_by, arrival, parity, cover, flips)
    return True


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
        loss: Added to, float32 `[shots]`, in nats.
        by_log_odds: Added to, float32 `[shots, edges]`.
        left_out: Written: shots of which `both_classes` did not find both, bool `[shots]`.
    """
    weights = np.empty(2, dtype=np.int64)
    solutions = np.empty((2, log_odds.shape[1]), dtype=np.uint8)
    for shot in range(len(syndromes)):
        left_out[shot] = not both_classes(syndromes[shot], log_odds[shot], parity, cover, weights, solutions)
        if not left_out[shot]:
            right = 1 if truth[shot] else 0
            add_gap(weights, solutions, right, loss[shot : shot + 1], by_log_odds[shot])
