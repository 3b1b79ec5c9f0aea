"""Ordered-statistics decoding on given beliefs: for each shot, Gaussian elimination over GF(2) in the order of the beliefs.

Fossorier and Lin (IEEE Trans. Inf. Theory 41, 1379), for quantum codes Panteleev and Kalachev (Quantum 5, 585). Starting with
the most likely mechanism, each one joins the basis ("kept") if its detectors are not a sum of those kept before. The basis
explains a syndrome in exactly one way: OSD-0. A higher order also fires some mechanisms outside the basis and takes the
cheapest solution (`search.py`).

Detectors are bits of 64-bit words. The reduced detectors of each kept mechanism have a leading bit of their own, the lowest, so
a vector is reduced by clearing its bits from the lowest up. OSD-0 stops once the syndrome is reduced to zero, because later
mechanisms are not part of the solution.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.compiled_once import compiled_once
from autoqec.decoding.heap import drop_top

from .ordering import order_by_belief
from .search import ZERO, cheapest, place, toggle

#: The status of a shot.
SOLVED, UNSOLVABLE = 0, 1

_ONE = np.uint64(1)
_ZERO = np.uint64(0)

#: Pieces of a kernel are inlined: a call would count the references to every array, and that costs as much as a small step.
_piece = njit(cache=True, nogil=True, forceinline=True)


@njit(cache=True, nogil=True)
def reduce(vector: np.ndarray, parts: np.ndarray, basis: np.ndarray, combination: np.ndarray, leads: np.ndarray) -> int:
    """Clear the bits of a vector from the lowest up, as far as the basis allows.

    Args:
        vector: The vector, reduced in place, uint64 `[words]`.
        parts: The kept mechanisms added to the vector, toggled in place, uint64 `[words]`.
        basis: Reduced detectors of the kept mechanisms, uint64 `[kept, words]`.
        combination: The kept mechanisms whose sum each basis vector is, uint64 `[kept, words]`.
        leads: The kept mechanism with each leading bit, -1 for none, int64 `[64 words]`.

    Returns:
        The lowest remaining bit, -1 for none.
    """
    words = len(vector)
    for word in range(words):
        while vector[word] != _ZERO:
            bit = 64 * word + int(place(vector[word]))
            kept = leads[bit]
            if kept < 0:
                return bit
            for other in range(word, words):
                vector[other] ^= basis[kept, other]
            for other in range((kept >> 6) + 1):
                parts[other] ^= combination[kept, other]
    return -1


@_piece
def _decides(syndrome: np.ndarray, llr: np.ndarray, columns: np.ndarray, residual: np.ndarray) -> bool:
    """Whether the mechanisms that are believed to have fired explain the syndrome; `residual` is room for it."""
    for word in range(len(residual)):
        residual[word] = syndrome[word]
    for mechanism in range(len(llr)):
        if llr[mechanism] < 0:
            toggle(residual, columns[mechanism])
    return not residual.any()


@_piece
def _fire(shot: int, mechanism: int, flips: np.ndarray, answer: np.ndarray, correction: np.ndarray) -> None:
    """Say that a mechanism fired."""
    toggle(answer, flips[mechanism])
    if len(correction):
        correction[shot, mechanism] = True


@_piece
def _eliminate(
    columns: np.ndarray,
    search: int,
    heap: np.ndarray,
    residual: np.ndarray,
    solution: np.ndarray,
    basis: np.ndarray,
    combination: np.ndarray,
    leads: np.ndarray,
    kept: np.ndarray,
    other: np.ndarray,
    changes: np.ndarray,
    vector: np.ndarray,
    parts: np.ndarray,
) -> tuple[int, int, bool]:
    """Keep mechanisms from the likeliest downwards until they explain the syndrome; all of them where there is a search.

    Args:
        columns: Detectors of each mechanism, uint64 `[mechanisms, words]`.
        search: `ZERO`, `EXHAUSTIVE` or `COMBINATION_SWEEP`.
        heap: The mechanisms, as `order_by_belief` leaves them; used up.
        residual: The syndrome, uint64 `[words]`; what is not explained is left of it.
        solution: Written: the kept mechanisms that explain the syndrome, uint64 `[words]`.
        basis, combination, leads: Written: see `reduce`.
        kept: Written: the mechanisms that are kept, int64.
        other: Written, where there is a search: the mechanisms that are not, int64.
        changes: Written, where there is a search: the kept ones that each of them is the sum of, uint64 `[others, words]`.
        vector, parts: Room for a row, uint64 `[words]`.

    Returns:
        How many mechanisms are kept, how many are not, and whether the syndrome is explained.
    """
    rank = others = 0
    waits = reduce(residual, solution, basis, combination, leads)
    for left in range(len(columns), 0, -1):
        if search == ZERO and waits < 0:
            break
        mechanism = heap[0] & np.int64(0xFFFFFFFF)
        drop_top(heap, left)
        vector[:] = columns[mechanism]
        parts[:] = _ZERO
        bit = reduce(vector, parts, basis, combination, leads)
        if bit < 0:
            if search != ZERO:
                other[others] = mechanism
                changes[others] = parts
                others += 1
            continue
        parts[rank >> 6] ^= _ONE << np.uint64(rank & 63)
        basis[rank] = vector
        combination[rank] = parts
        leads[bit] = rank
        kept[rank] = mechanism
        rank += 1
        if bit == waits:
            waits = reduce(residual, solution, basis, combination, leads)
    return rank, others, waits < 0


@_piece
def _weigh(
    price: np.ndarray,
    solution: np.ndarray,
    kept: np.ndarray,
    rank: int,
    other: np.ndarray,
    others: int,
    gain: np.ndarray,
    extra: np.ndarray,
) -> None:
    """Write what it costs to change the explanation: `gain` by each kept mechanism, `extra` by each of the others."""
    for k in range(rank):
        gain[k] = -price[kept[k]] if _has(solution, k) else price[kept[k]]
    for i in range(others):
        extra[i] = price[other[i]]


@_piece
def _has(row: np.ndarray, bit: int) -> bool:
    return (row[bit >> 6] >> np.uint64(bit & 63)) & _ONE != _ZERO


@compiled_once("ordered-statistics decoding", 12)
@njit(cache=True, nogil=True)
def decode(
    syndromes: np.ndarray,
    beliefs: np.ndarray,
    costs: np.ndarray,
    columns: np.ndarray,
    flips: np.ndarray,
    search: int,
    order: int,
    observables: np.ndarray,
    status: np.ndarray,
    correction: np.ndarray,
) -> None:
    """Decode a batch.

    If the hard decision of the beliefs explains the syndrome, it is the result, as after converged belief propagation.

    Args:
        syndromes: uint64 `[shots, words]`, little-endian bits.
        beliefs: Log-likelihood ratios that order the mechanisms, C-contiguous float32 `[shots, mechanisms]`, finite.
        costs: Cost of firing each mechanism, float32 `[1 or shots, mechanisms]`; unused if `search` is `ZERO`.
        columns: Detectors of each mechanism, uint64 `[mechanisms, words]`.
        flips: Observables of each mechanism, uint8 `[mechanisms, ceil(observables / 8)]`.
        search: `ZERO`, `EXHAUSTIVE` or `COMBINATION_SWEEP`.
        order: Number of mechanisms that the search combines.
        observables: Output: predicted flips, bit-packed, uint8 `[shots, ceil(observables / 8)]`.
        status: Output: `SOLVED` or `UNSOLVABLE` (no mechanisms explain the syndrome), uint8 `[shots]`.
        correction: Output: the mechanisms of the solution, bool `[shots, mechanisms]`, or `[0, 0]` to omit them.
    """
    mechanisms, words = columns.shape
    most = 64 * words
    heap = np.empty(mechanisms, dtype=np.int64)
    basis = np.empty((most, words), dtype=np.uint64)
    combination = np.empty((most, words), dtype=np.uint64)
    leads = np.empty(most, dtype=np.int64)
    kept = np.empty(most, dtype=np.int64)
    gain = np.empty(most, dtype=np.float64)
    spare = mechanisms if search != ZERO else 0
    other = np.empty(spare, dtype=np.int64)
    extra = np.empty(spare, dtype=np.float64)
    changes = np.empty((spare, words), dtype=np.uint64)
    fires = np.zeros(spare, dtype=np.bool_)
    residual = np.empty(words, dtype=np.uint64)
    solution = np.empty(words, dtype=np.uint64)
    vector = np.empty(words, dtype=np.uint64)
    parts = np.empty(words, dtype=np.uint64)
    for shot in range(len(syndromes)):
        llr = beliefs[shot]
        answer = observables[shot]
        answer[:] = 0
        status[shot] = SOLVED
        if _decides(syndromes[shot], llr, columns, residual):
            for mechanism in range(mechanisms):
                if llr[mechanism] < 0:
                    _fire(shot, mechanism, flips, answer, correction)
            continue
        residual[:] = syndromes[shot]
        solution[:] = _ZERO
        leads[:] = -1
        order_by_belief(llr, heap)
        rank, others, explained = _eliminate(
            columns, search, heap, residual, solution, basis, combination, leads, kept, other, changes, vector, parts
        )
        if not explained:
            status[shot] = UNSOLVABLE
            continue
        if search != ZERO:
            _weigh(costs[shot if len(costs) > 1 else 0], solution, kept, rank, other, others, gain, extra)
            cheapest(solution, fires, changes[:others], gain, extra[:others], search, order)
            for i in range(others):
                if fires[i]:
                    _fire(shot, other[i], flips, answer, correction)
        for k in range(rank):
            if _has(solution, k):
                _fire(shot, kept[k], flips, answer, correction)
