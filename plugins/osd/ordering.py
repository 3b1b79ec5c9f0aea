"""Mechanisms from the likeliest to have fired downwards, taken one by one from a heap: decoding seldom needs them all."""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.decoding.heap import sink


@njit(cache=True, nogil=True)
def order_by_belief(beliefs: np.ndarray, heap: np.ndarray) -> None:
    """A heap of (belief, mechanism): equal beliefs stand by their number, so that the order is the same everywhere.

    As integers, the bits of positive floats are ordered as they are; those of negative ones the other way round.
    """
    bits = beliefs.view(np.int32)
    for mechanism in range(len(beliefs)):
        key = np.int64(bits[mechanism])
        if key < 0:
            key = ~(key & np.int64(0x7FFFFFFF))
        heap[mechanism] = (key << np.int64(32)) | np.int64(mechanism)
    for place in range(len(beliefs) // 2 - 1, -1, -1):
        sink(heap, len(beliefs), place)
