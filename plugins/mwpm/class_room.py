"""Working memory of the search for both classes, and the distances of many shots that it starts from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.decoding.heap import FAR

from .boundary_sweeps import FEWEST, LANES, Sweeps, sweep, unload
from .cover import Cover
from .matching_kernel import WEIGHTS_PER_NAT

#: A shot with a cluster of more defects is left to the general solver (`forced_classes`): the programme takes 2^n n steps.
MAX_CLUSTER = 14

#: Most shots have fewer defects.
_DEFECTS = 256


class Room(NamedTuple):
    """Working memory, allocated once for a batch. Its defects are as many as most shots have; others get room of their own.

    Attributes:
        weight: Of each edge, int64 `[edges]`.
        fires: Detectors to be matched, uint8 `[detectors]`.
        heap: For the queue of a search, int64.
        out: Distance of each node from the boundary, int64 `[2 detectors]`.
        out_by: The edge it is reached by, -1 for none, int32 `[2 detectors]`; `UNKNOWN` where that is found when it is needed.
        distance: Of each node from a defect, int64 `[2 detectors]`; `FAR` everywhere between searches.
        touched: Nodes that a search reached, int32 `[2 detectors]`.
        arrival: The edge by which a search from each defect reached a node, int32 `[defects, 2 detectors]`.
        pair: Distance of defects i < j with each parity, int64 `[2 defects^2]`.
        best, mate, path, needed: Of each subset of a cluster; see `_programme`.
    """

    weight: np.ndarray
    fires: np.ndarray
    heap: np.ndarray
    out: np.ndarray
    out_by: np.ndarray
    distance: np.ndarray
    touched: np.ndarray
    arrival: np.ndarray
    pair: np.ndarray
    best: np.ndarray
    mate: np.ndarray
    path: np.ndarray
    needed: np.ndarray


@njit(cache=True, nogil=True)
def make_room(edges: int, detectors: int) -> Room:
    """Allocate working memory."""
    defects, subsets = min(detectors, _DEFECTS), 1 << MAX_CLUSTER
    return Room(
        np.empty(edges, dtype=np.int64),
        np.empty(detectors, dtype=np.uint8),
        np.empty(4 * edges + 2, dtype=np.int64),
        np.empty(2 * detectors, dtype=np.int64),
        np.empty(2 * detectors, dtype=np.int32),
        np.full(2 * detectors, FAR, dtype=np.int64),
        np.empty(2 * detectors, dtype=np.int32),
        np.empty((defects, 2 * detectors), dtype=np.int32),
        np.empty(2 * defects * defects, dtype=np.int64),
        np.empty((subsets, 2), dtype=np.int64),
        np.empty((subsets, 2), dtype=np.int8),
        np.empty((subsets, 2), dtype=np.int8),
        np.zeros(subsets, dtype=np.bool_),
    )


class Block(NamedTuple):
    """What a block of shots is swept with; see `boundary_sweeps.sweep`."""

    across: np.ndarray
    near: np.ndarray


@njit(cache=True, nogil=True)
def make_block(edges: int, detectors: int) -> Block:
    """Allocate it."""
    return Block(np.zeros((edges, LANES), dtype=np.int32), np.empty((2 * detectors, LANES), dtype=np.int32))


@njit(cache=True, nogil=True)
def see(
    shot: int, log_odds: np.ndarray, parity: np.ndarray, cover: Cover, sweeps: Sweeps, block: Block, room: Room
) -> bool:
    """Write the distances from the boundary of one shot after another, if there are enough of them to sweep together.

    Args:
        shot: Which; its block is swept with the first of it.
        log_odds: Of each edge in each shot, float32 `[shots, edges]`.
        parity, cover: The graph.
        sweeps: Its relaxations.
        block, room: Working memory.

    Returns:
        Whether `room.out` is written.
    """
    first = shot - shot % LANES
    last = min(first + LANES, len(log_odds))
    if last - first < FEWEST:
        return False
    if shot == first:
        sweep(log_odds[first:last], np.float32(WEIGHTS_PER_NAT), parity, cover, sweeps, block.across, block.near)
    unload(block.near, shot - first, room.out)
    return True
