"""What ordered-statistics decoding searches beside its first explanation, and how to walk the set bits of a word."""

from __future__ import annotations

import numpy as np
from numba import njit

#: What is searched beside OSD-0: nothing; all patterns of the first `order` others; one other, or two of the first `order`.
ZERO, EXHAUSTIVE, COMBINATION_SWEEP = 0, 1, 2

_ONE = np.uint64(1)
_ZERO = np.uint64(0)

# A de Bruijn sequence: the top six bits of (bit * sequence) tell which bit it was (Leiserson, Prokop and Randall, 1998).
_SEQUENCE = np.uint64(0x03F79D71B4CB0A89)
_TOP = np.uint64(58)
_PLACE = np.zeros(64, dtype=np.int64)
for _bit in range(64):
    _PLACE[((1 << _bit) * int(_SEQUENCE) % 2**64) >> 58] = _bit


@njit(cache=True, nogil=True, inline="always")
def place(word: np.uint64) -> np.int64:
    """Index of the lowest set bit of a word that is not zero."""
    return _PLACE[((word & (~word + _ONE)) * _SEQUENCE) >> _TOP]


@njit(cache=True, nogil=True)
def toggle(row: np.ndarray, by: np.ndarray) -> None:
    """Add one row of bits to another, in place. (A loop: numba takes seconds to compile each expression of arrays.)"""
    for word in range(len(row)):
        row[word] ^= by[word]


@njit(cache=True, nogil=True)
def _total(parts: np.ndarray, gain: np.ndarray) -> float:
    """The sum of `gain` over the set bits."""
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
    """Replace OSD-0's explanation by the cheapest of those that also fire some mechanisms which were not kept.

    Args:
        solution: OSD-0's kept mechanisms; changed in place, uint64 `[words]`.
        others: Written: which of the others fire, bool `[others]`.
        changes: The kept mechanisms that firing each of the others toggles, uint64 `[others, words]`.
        gain: What toggling each kept mechanism adds to the cost, float64 `[kept]`.
        extra: What firing each of the others costs by itself, float64 `[others]`.
        search: `EXHAUSTIVE` or `COMBINATION_SWEEP`.
        order: How many of the others are combined.
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
        # In a Gray code one of the others changes from pattern to pattern.
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
