"""Complementary gaps with static weights: tables instead of searches, then clusters of defects, each solved in both classes."""

from __future__ import annotations

import numpy as np
from numba import njit

from .gap_tables import NO_WAY

#: A larger cluster is left to `gap_exact`.
MAX_CLUSTER = 12

#: How a shot ended.
SOLVED, TOO_LARGE = 0, 1

_NEVER = np.int64(1) << np.int64(50)


@njit(cache=True, nogil=True)
def gather(
    defects: np.ndarray,
    all_exits: np.ndarray,
    all_pairs: np.ndarray,
    exits: np.ndarray,
    pair: np.ndarray,
    leader: np.ndarray,
) -> None:
    """Collect the distances of a shot's defects, leave out pairs that never pay, and join the others to clusters.

    Args:
        defects: Detectors that fire, int64 `[defects]`.
        all_exits, all_pairs: Of `Tables`.
        exits: Written, int64 `[defects, 2]`.
        pair: Written: distances of i and j with each parity, int64 `[defects, defects, 2]`.
        leader: Written: a number that the defects of a cluster share, int64 `[defects]`.
    """
    count = len(defects)
    for i in range(count):
        leader[i] = i
        for turn in range(2):
            way = np.int64(all_exits[defects[i], turn])
            exits[i, turn] = way if way < NO_WAY else _NEVER
    for i in range(count):
        for j in range(i + 1, count):
            useful = False
            for turn in range(2):
                way = np.int64(all_pairs[defects[i], defects[j], turn])
                around = min(exits[i, 0] + exits[j, turn], exits[i, 1] + exits[j, 1 - turn])
                if way < NO_WAY and way < around:
                    useful = True
                else:
                    way = _NEVER
                pair[i, j, turn] = pair[j, i, turn] = way
            if useful and leader[i] != leader[j]:
                old = leader[j]
                for k in range(count):
                    if leader[k] == old:
                        leader[k] = leader[i]


@njit(cache=True, nogil=True)
def _solve(member: np.ndarray, exits: np.ndarray, pair: np.ndarray, best: np.ndarray) -> None:
    """The least weight of each subset of a cluster with each parity, int64 `[2^members, 2]`."""
    best[0, 0], best[0, 1] = 0, _NEVER
    for left in range(1, 1 << len(member)):
        a = 0
        while not (left >> a) & 1:
            a += 1
        rest = left ^ (1 << a)
        for side in range(2):
            least = _NEVER
            for turn in range(2):
                least = min(least, exits[member[a], turn] + best[rest, side ^ turn])
                for b in range(a + 1, len(member)):
                    if (rest >> b) & 1:
                        least = min(least, pair[member[a], member[b], turn] + best[rest ^ (1 << b), side ^ turn])
            best[left, side] = least


@njit(cache=True, nogil=True)
def gaps(
    fires: np.ndarray,
    sides: np.ndarray,
    all_exits: np.ndarray,
    all_pairs: np.ndarray,
    loop: int,
    gap: np.ndarray,
    status: np.ndarray,
) -> None:
    """Compute how much heavier the other class is than a given one, for one observable.

    Args:
        fires: Detectors to be matched, bool `[shots, detectors]`.
        sides: The given class of each shot, int64 `[shots]`.
        all_exits, all_pairs, loop: Of `Tables`.
        gap: Written, int64 `[shots]`; at least `NO_WAY` where the other class cannot be reached.
        status: Written: `SOLVED` or `TOO_LARGE`, uint8 `[shots]`.
    """
    best = np.empty((1 << MAX_CLUSTER, 2), dtype=np.int64)
    for shot in range(len(fires)):
        status[shot] = SOLVED
        defects = np.flatnonzero(fires[shot])
        count = len(defects)
        exits = np.empty((count, 2), dtype=np.int64)
        pair = np.empty((count, count, 2), dtype=np.int64)
        leader = np.empty(count, dtype=np.int64)
        gather(defects, all_exits, all_pairs, exits, pair, leader)
        even, odd = np.int64(0), _NEVER
        for first in range(count):
            if leader[first] != first:
                continue
            member = np.flatnonzero(leader == first)
            if len(member) > MAX_CLUSTER:
                status[shot] = TOO_LARGE
                break
            _solve(member, exits, pair, best)
            stay, turn = best[(1 << len(member)) - 1]
            even, odd = min(even + stay, odd + turn, _NEVER), min(even + turn, odd + stay, _NEVER)
        even, odd = min(even, odd + loop), min(odd, even + loop)
        gap[shot] = odd - even if sides[shot] == 0 else even - odd
