"""Orders mechanisms by belief, most likely first, with a heap, because decoding seldom needs them all."""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.decoding.heap import sink


@njit(cache=True, nogil=True)
def order_by_belief(beliefs: np.ndarray, heap: np.ndarray) -> None:
    """Build a heap of (belief, mechanism); equal beliefs are ordered by number, so the order is the same everywhere.

    Read as integers, the bits of positive floats keep their order, and those of negative floats reverse it.
    """
    bits = beliefs.view(np.int32)
    for mechanism in range(len(beliefs)):
        key = np.int64(bits[mechanism])
        if key < 0:
            key = ~(key & np.int64(0x7FFFFFFF))
        heap[mechanism] = (key << np.int64(32)) | np.int64(mechanism)
    for place in range(len(beliefs) // 2 - 1, -1, -1):
        sink(heap, len(beliefs), place)
