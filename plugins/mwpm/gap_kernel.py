"""Complementary gaps with static weights: distances come from tables, and a bounded search finds both classes of a shot.

For each shot and observable:

1. Pairs of defects further apart than their two ways to the boundary of the same joint parity are left out.
2. Dual variables y, one for each defect, with y(i) <= exit(i) and y(i) + y(j) <= distance(i, j), bound the weight of any
   matching from below. What a choice costs above its share of y is its excess; it is never negative. No solution within
   `at_most` of the plain one has a larger excess than the plain weight + `at_most` - sum(y): its budget.
3. Choices beyond the budget are left out. What is left joins defects to clusters, which are independent. A programme goes
   through a cluster's defects in order and matches the first that is left; its states are the sets of defects that are left,
   each with the least excess of either parity. The budget keeps them few: at distance 7 about 65 a shot for 25 defects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.compiled_once import compiled_once

from .gap_tables import NO_WAY, Tables
from .matching_records import piece

#: How a shot ended: with its exact gap; with more than the limit; with more states than there is room for.
SOLVED, ABOVE, TOO_LARGE = 0, 1, 2

#: A cluster is a set of bits in one word.
_MAX_CLUSTER = 63

#: More than any sum of distances.
NEVER = np.int64(1) << np.int64(50)

_HASH = np.uint64(0x9E3779B97F4A7C15)


class Room(NamedTuple):
    """Working memory of the kernel.

    Attributes:
        defects: Detectors to be matched.
        exits: Distance of each to the boundary with each parity, later its excess.
        degree: How many partners each has.
        partner: Their places.
        way: Their distances with each parity, later the excess.
        dual: The dual variables.
        leader: A number that the defects of a cluster share.
        member: Places of a cluster's defects.
        place: The place of each defect in its cluster.
        left: States: the defects that are left.
        least: Their least excess with each parity.
        after: The next state with the same first defect, -1 for none.
        first: The first state for each first defect, -1 for none.
        slot: Hash table of the states.
        stamp: The cluster that a slot's entry is of.
    """

    defects: np.ndarray
    exits: np.ndarray
    degree: np.ndarray
    partner: np.ndarray
    way: np.ndarray
    dual: np.ndarray
    leader: np.ndarray
    member: np.ndarray
    place: np.ndarray
    left: np.ndarray
    least: np.ndarray
    after: np.ndarray
    first: np.ndarray
    slot: np.ndarray
    stamp: np.ndarray


def room_for(defects: int, states: int) -> Room:
    """Allocate working memory.

    Args:
        defects: The most defects in a shot.
        states: The most states of a cluster, a power of two.
    """
    return Room(
        defects=np.empty(defects, dtype=np.int64),
        exits=np.empty((defects, 2), dtype=np.int64),
        degree=np.empty(defects, dtype=np.int64),
        partner=np.empty((defects, defects), dtype=np.int32),
        way=np.empty((defects, defects, 2), dtype=np.int64),
        dual=np.empty(defects, dtype=np.int64),
        leader=np.empty(defects, dtype=np.int64),
        member=np.empty(defects, dtype=np.int64),
        place=np.empty(defects, dtype=np.int64),
        left=np.empty(states, dtype=np.uint64),
        least=np.empty((states, 2), dtype=np.int64),
        after=np.empty(states, dtype=np.int32),
        first=np.empty(_MAX_CLUSTER + 1, dtype=np.int32),
        slot=np.empty(2 * states, dtype=np.int32),
        stamp=np.zeros(2 * states, dtype=np.int64),
    )


@piece
def _find_defects(syndrome: np.ndarray, defects: np.ndarray) -> int:
    """List the detectors that fire and return how many, or -1 where there are more than `defects` holds."""
    count = 0
    for byte in range(syndrome.size):
        bits = syndrome[byte]
        if bits:
            for bit in range(8):
                if (bits >> bit) & 1 and count >= 0:
                    if count == defects.size:
                        count = -1
                    else:
                        defects[count] = 8 * byte + bit
                        count += 1
    return count


@piece
def _find_pairs(count: int, tables: Tables, room: Room) -> None:
    """Write each defect's exits and the partners that may pay, with their distances."""
    parities = tables.pair.shape[2]
    for i in range(count):
        room.degree[i] = 0
        room.exits[i, 0] = tables.exits[room.defects[i], 0]
        room.exits[i, 1] = tables.exits[room.defects[i], 1]
    for i in range(count):
        row = tables.pair[room.defects[i]]
        exit_even, exit_odd = room.exits[i, 0], room.exits[i, 1]
        for j in range(i + 1, count):
            even = np.int64(row[room.defects[j], 0])
            odd = NEVER
            if even >= min(exit_even + room.exits[j, 0], exit_odd + room.exits[j, 1]) or even >= NO_WAY:
                even = NEVER
            if parities > 1:
                odd = np.int64(row[room.defects[j], 1])
                if odd >= min(exit_even + room.exits[j, 1], exit_odd + room.exits[j, 0]) or odd >= NO_WAY:
                    odd = NEVER
            if min(even, odd) < NEVER:
                a, b = room.degree[i], room.degree[j]
                room.partner[i, a], room.partner[j, b] = j, i
                room.way[i, a, 0] = room.way[j, b, 0] = even
                room.way[i, a, 1] = room.way[j, b, 1] = odd
                room.degree[i] += 1
                room.degree[j] += 1
    for i in range(count):
        for turn in range(2):
            if room.exits[i, turn] >= NO_WAY:
                room.exits[i, turn] = NEVER


@piece
def _find_duals(count: int, room: Room) -> np.int64:
    """Write dual variables; returns their sum. First half the nearest distance, then each as large as the others let it."""
    for i in range(count):
        least = 2 * min(room.exits[i, 0], room.exits[i, 1])
        for k in range(room.degree[i]):
            least = min(least, room.way[i, k, 0], room.way[i, k, 1])
        room.dual[i] = least >> 1
    total = np.int64(0)
    for i in range(count):
        least = min(room.exits[i, 0], room.exits[i, 1])
        for k in range(room.degree[i]):
            least = min(least, min(room.way[i, k, 0], room.way[i, k, 1]) - room.dual[room.partner[i, k]])
        room.dual[i] = least
        total += least
    return total


@piece
def _join_clusters(count: int, budget: np.int64, room: Room) -> None:
    """Turn distances into excesses, leave out what is beyond the budget, and join what is left to clusters."""
    for i in range(count):
        room.leader[i] = i
        room.exits[i, 0] -= room.dual[i]
        room.exits[i, 1] -= room.dual[i]
    for i in range(count):
        kept = 0
        for k in range(room.degree[i]):
            j = room.partner[i, k]
            if j > i:
                share = room.dual[i] + room.dual[j]
                even, odd = room.way[i, k, 0] - share, room.way[i, k, 1] - share
                if min(even, odd) <= budget:
                    room.partner[i, kept] = j
                    room.way[i, kept, 0], room.way[i, kept, 1] = even, odd
                    kept += 1
                    if room.leader[i] != room.leader[j]:
                        old = max(room.leader[i], room.leader[j])
                        new = min(room.leader[i], room.leader[j])
                        for other in range(count):
                            if room.leader[other] == old:
                                room.leader[other] = new
        room.degree[i] = kept


@piece
def _reach(left: np.uint64, even: np.int64, odd: np.int64, states: int, mark: np.int64, room: Room) -> int:
    """Note a way to a state; returns how many states there are, or -1 where there is no room for another."""
    mask = np.uint64(room.slot.size - 1)
    key = ((left * _HASH) >> np.uint64(32)) & mask
    while room.stamp[key] == mark and room.left[room.slot[key]] != left:
        key = (key + np.uint64(1)) & mask
    if room.stamp[key] == mark:
        state = room.slot[key]
        room.least[state, 0] = min(room.least[state, 0], even)
        room.least[state, 1] = min(room.least[state, 1], odd)
    elif states == room.left.size:
        states = -1
    else:
        room.stamp[key] = mark
        room.slot[key] = states
        room.left[states] = left
        room.least[states, 0], room.least[states, 1] = even, odd
        bucket = _MAX_CLUSTER
        if left:
            bucket = 0
            while not (left >> np.uint64(bucket)) & np.uint64(1):
                bucket += 1
        room.after[states] = room.first[bucket]
        room.first[bucket] = states
        states += 1
    return states


@piece
def _solve(size: int, budget: np.int64, mark: np.int64, room: Room) -> int:
    """Find the least excess of a cluster with each parity, within a budget.

    Returns:
        The state that holds it; -1 if there is none, -2 if there are too many states.
    """
    one = np.uint64(1)
    for bucket in range(_MAX_CLUSTER + 1):
        room.first[bucket] = -1
    states = _reach((one << np.uint64(size)) - one, np.int64(0), NEVER, 0, mark, room)
    for a in range(size):
        i = room.member[a]
        state = room.first[a]
        while state >= 0 and states >= 0:
            rest = room.left[state] ^ (one << np.uint64(a))
            even, odd = room.least[state, 0], room.least[state, 1]
            to_even = min(even + room.exits[i, 0], odd + room.exits[i, 1])
            to_odd = min(even + room.exits[i, 1], odd + room.exits[i, 0])
            if min(to_even, to_odd) <= budget:
                states = _reach(rest, to_even, to_odd, states, mark, room)
            for k in range(room.degree[i]):
                other = one << np.uint64(room.place[room.partner[i, k]])
                if rest & other:
                    to_even = min(even + room.way[i, k, 0], odd + room.way[i, k, 1])
                    to_odd = min(even + room.way[i, k, 1], odd + room.way[i, k, 0])
                    if min(to_even, to_odd) <= budget and states >= 0:
                        states = _reach(rest ^ other, to_even, to_odd, states, mark, room)
            state = room.after[state]
    return room.first[_MAX_CLUSTER] if states >= 0 else -2


@compiled_once("the complementary gap", 5)
@njit(cache=True, nogil=True)
def gaps(
    syndromes: np.ndarray,
    sides: np.ndarray,
    weights: np.ndarray,
    at_most: np.int64,
    tables: Tables,
    room: Room,
    gap: np.ndarray,
    status: np.ndarray,
) -> None:
    """Compute how much heavier the other class is than that of the plain answer, for one observable.

    Args:
        syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
        sides: The class of the plain answer on the graph of the tables, uint8 `[shots]`.
        weights: Its weight, or a little more, int64 `[shots]`.
        at_most: Only gaps up to this matter.
        tables: The distances.
        room: Working memory.
        gap: Written, int64 `[shots]`; `tables.loop` where the status is `ABOVE`.
        status: Written, uint8 `[shots]`.
    """
    at_most = min(at_most, np.int64(tables.loop))
    mark = room.stamp.max()
    for shot in range(len(syndromes)):
        side = np.int64(sides[shot])
        status[shot] = SOLVED
        count = _find_defects(syndromes[shot], room.defects)
        even, odd = np.int64(0), NEVER
        budget = np.int64(0)
        if count > 0:
            _find_pairs(count, tables, room)
            budget = weights[shot] + at_most - _find_duals(count, room)
            _join_clusters(count, budget, room)
            for i in range(count):
                side ^= tables.gauge[room.defects[i]]
        for lead in range(count):
            if room.leader[lead] == lead and status[shot] == SOLVED:
                size = 0
                for i in range(lead, count):
                    if room.leader[i] == lead:
                        room.place[i] = size
                        room.member[size] = i
                        size += 1
                mark += 1
                found = -2
                if size < _MAX_CLUSTER:
                    found = _solve(size, budget - min(even, odd), mark, room)
                if found < 0:
                    status[shot] = TOO_LARGE
                else:
                    stay, turn = room.least[found, 0], room.least[found, 1]
                    even, odd = min(even + stay, odd + turn), min(even + turn, odd + stay)
        if count < 0:
            status[shot] = TOO_LARGE
        own, other = (even, odd) if side == 0 else (odd, even)
        gap[shot] = min(other - own, tables.loop)
        if status[shot] == SOLVED and gap[shot] > at_most:
            status[shot] = ABOVE
