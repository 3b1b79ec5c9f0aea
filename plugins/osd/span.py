"""The span of the mechanisms: tells which syndromes at least one set of mechanisms explains."""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.decoding.flipping import syndromes_of_mechanisms
from autoqec.problem.problem import Problem

from .osd_kernel import reduce


def as_words(packed: np.ndarray) -> np.ndarray:
    """Convert rows of bytes to rows of 64-bit words, padded with zeros; bits keep their number."""
    words = np.zeros((len(packed), -(-packed.shape[1] // 8)), dtype="<u8")
    words.view(np.uint8)[:, : packed.shape[1]] = packed
    return words


class Span:
    """The syndromes that are sums of mechanisms.

    Args:
        problem: The problem; the constructor runs Gaussian elimination on its mechanisms.
    """

    def __init__(self, problem: Problem) -> None:
        columns = as_words(syndromes_of_mechanisms(problem))
        self._basis = np.zeros((64 * columns.shape[1], columns.shape[1]), dtype=np.uint64)
        self._leads = np.full(len(self._basis), -1, dtype=np.int64)
        self._whole = _eliminate(columns, problem.num_detectors, self._basis, self._leads) == problem.num_detectors

    def misses(self, syndromes: np.ndarray) -> np.ndarray:
        """Return the shots whose syndromes no set of mechanisms explains, bool `[shots]`.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
        """
        outside = np.zeros(len(syndromes), dtype=np.bool_)
        if not self._whole:
            _outside(as_words(syndromes), self._basis, self._leads, outside)
        return outside


@njit(cache=True, nogil=True)
def _eliminate(columns: np.ndarray, most: int, basis: np.ndarray, leads: np.ndarray) -> int:
    unused = np.zeros_like(basis)
    parts = np.zeros(basis.shape[1], dtype=np.uint64)
    rank = 0
    for column in range(len(columns)):
        if rank == most:
            break
        basis[rank] = columns[column]
        bit = reduce(basis[rank], parts, basis, unused, leads)
        if bit >= 0:
            leads[bit] = rank
            rank += 1
    return rank


@njit(cache=True, nogil=True)
def _outside(syndromes: np.ndarray, basis: np.ndarray, leads: np.ndarray, outside: np.ndarray) -> None:
    unused = np.zeros_like(basis)
    parts = np.zeros(basis.shape[1], dtype=np.uint64)
    for shot in range(len(syndromes)):
        outside[shot] = reduce(syndromes[shot], parts, basis, unused, leads) >= 0
