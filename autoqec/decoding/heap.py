"""A binary heap in an integer array, for compiled searches; a key by distance is `distance << VERTEX_BITS | vertex`."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Larger than the length of any path; the sum over a cluster still fits 64 bits.
FAR = np.int64(1) << np.int64(40)
VERTEX_BITS = np.int64(22)
VERTEX_MASK = (np.int64(1) << VERTEX_BITS) - np.int64(1)


@njit(cache=True, nogil=True)
def push(heap: np.ndarray, size: int, key: np.int64) -> int:
    """Add an entry to the first `size` entries of a heap and return the new size."""
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
    """Restore the heap order of the first `size` entries if the entry at `place` may be too large."""
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
    """Remove the smallest of the first `size` entries, `heap[0]`, and return the new size."""
    heap[0] = heap[size - 1]
    sink(heap, size - 1, 0)
    return size - 1
