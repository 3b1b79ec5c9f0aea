"""The search of ordered-statistics decoding beyond its first solution, and iteration over the set bits of a word."""

from __future__ import annotations

import numpy as np
from numba import njit

#: The search beyond OSD-0: nothing; all patterns of the first `order` others; one other, or two of the first `order` others.
ZERO, EXHAUSTIVE, COMBINATION_SWEEP = 0, 1, 2

_ONE = np.uint64(1)
_ZERO = np.uint64(0)

# A de Bruijn sequence: the top six bits of (bit * sequence) identify the bit (Leiserson, Prokop and Randall, 1998).
_SEQUENCE = np.uint64(0x03F79D71B4CB0A89)
_TOP = np.uint64(58)
_PLACE = np.zeros(64, dtype=np.int64)
for _bit in range(64):
    _PLACE[((1 << _bit) * int(_SEQUENCE) % 2**64) >> 58] = _bit


@njit(cache=True, nogil=True, inline="always")
def place(word: np.uint64) -> np.int64:
    """Return the index of the lowest set bit of a non-zero word."""
    return _PLACE[((word & (~word + _ONE)) * _SEQUENCE) >> _TOP]


@njit(cache=True, nogil=True)
def toggle(row: np.ndarray, by: np.ndarray) -> None:
    """Add one row of bits to another in place (with a loop, because numba needs seconds to compile an array expression)."""
    for word in range(len(row)):
        row[word] ^= by[word]


@njit(cache=True, nogil=True)
def _total(parts: np.ndarray, gain: np.ndarray) -> float:
    """Return the sum of `gain` over the set bits."""
    total = 0.0
    for word in range(len(parts)):
        rest = parts[word]
        while rest != _ZERO:
            total += gain[64 * word + place(rest)]
            rest &= rest - _ONE
    return total


@njit(cache=True, nogil=True)
def cheapest(
    solution: np.ndarray,
    others: np.ndarray,
    changes: np.ndarray,
    gain: np.ndarray,
    extra: np.ndarray,
    search: int,
    order: int,
) -> None:
    """Replace the OSD-0 solution by the cheapest of those that also fire some mechanisms outside the basis ("others").

    Args:
        solution: The kept mechanisms of the OSD-0 solution; changed in place, uint64 `[words]`.
        others: Output: the others that fire, bool `[others]`.
        changes: The kept mechanisms that toggle if each of the others fires, uint64 `[others, words]`.
        gain: Change of the cost if each kept mechanism toggles, float64 `[kept]`.
        extra: Cost of firing each of the others, float64 `[others]`.
        search: `EXHAUSTIVE` or `COMBINATION_SWEEP`.
        order: Number of the others to combine.
    """
    best = 0.0
    first = second = -1
    pattern = _ZERO
    both = np.zeros_like(solution)
    order = min(order, len(extra))
    if search == COMBINATION_SWEEP:
        for i in range(len(extra)):
            cost = extra[i] + _total(changes[i], gain)
            if cost < best:
                best, first = cost, i
        for i in range(order):
            for j in range(i + 1, order):
                both[:] = changes[i]
                toggle(both, changes[j])
                cost = extra[i] + extra[j] + _total(both, gain)
                if cost < best:
                    best, first, second = cost, i, j
    else:
        # In a Gray code, consecutive patterns differ in one mechanism.
        own = 0.0
        gray = _ZERO
        for count in range(1, 1 << order):
            i = int(place(np.uint64(count)))
            gray ^= _ONE << np.uint64(i)
            own += extra[i] if (gray >> np.uint64(i)) & _ONE else -extra[i]
            toggle(both, changes[i])
            cost = own + _total(both, gain)
            if cost < best:
                best, pattern = cost, gray
    for i in range(len(extra)):
        fires = i in (first, second) or (i < 64 and (pattern >> np.uint64(i)) & _ONE != _ZERO)
        others[i] = fires
        if fires:
            toggle(solution, changes[i])
