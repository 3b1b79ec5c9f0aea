"""A binary heap in an array of whole numbers, for compiled searches; by distance, one is `distance << VERTEX_BITS | vertex`."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Further than any path; a sum of a cluster's worth of them still fits.
FAR = np.int64(1) << np.int64(40)
VERTEX_BITS = np.int64(22)
VERTEX_MASK = (np.int64(1) << VERTEX_BITS) - np.int64(1)


@njit(cache=True, nogil=True)
def push(heap: np.ndarray, size: int, key: np.int64) -> int:
    """Add an entry to the first `size` of a heap; returns the new size."""
    place = size
    while place > 0:
        parent = (place - 1) >> 1
        if heap[parent] <= key:
            break
        heap[place] = heap[parent]
        place = parent
    heap[place] = key
    return size + 1


@njit(cache=True, nogil=True)
def sink(heap: np.ndarray, size: int, place: int) -> None:
    """Restore the order of the first `size` entries where the one at a place may be too large."""
    key = heap[place]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = key


@njit(cache=True, nogil=True)
def drop_top(heap: np.ndarray, size: int) -> int:
    """Remove the least entry, `heap[0]`, of the first `size`; returns the new size."""
    heap[0] = heap[size - 1]
    sink(heap, size - 1, 0)
    return size - 1
