"""The matching graph as flat arrays for the kernel: parallel edges share a slot, and each detector has a list of slots."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoqec.problem.dem import Edges


class Graph(NamedTuple):
    """A matching graph. Edges between the same two ends share a slot; a shot uses the lightest edge of a slot.

    Attributes:
        ends: Detectors of each edge, int32 `[edges, 2]`, -1 for the boundary.
        observables: Observables of each edge, bit-packed, uint8 `[edges, ceil(observables / 8)]`.
        slot: Slot of each edge, int32 `[edges]`.
        slot_ends: Detectors of each slot, int32 `[slots, 2]`; the second is -1 at the boundary.
        start: Neighbours of detector d are at `start[d]:start[d + 1]`, int32 `[detectors + 1]`.
        neighbour: Neighbouring detectors, int32.
        through: Slot to each neighbour, int32.
        boundary_slot: Slot from each detector to the boundary, -1 for none, int32 `[detectors]`.
        island: Index of each detector's component if that component has no boundary, else -1, int32 `[detectors]`. In such
            a component ("island") an error explains the defects only if their number is even.
        islands: Number of islands.
    """

    ends: np.ndarray
    observables: np.ndarray
    slot: np.ndarray
    slot_ends: np.ndarray
    start: np.ndarray
    neighbour: np.ndarray
    through: np.ndarray
    boundary_slot: np.ndarray
    island: np.ndarray
    islands: int


def matching_graph(edges: Edges, detectors: int) -> Graph:
    """Lay out the edges of a problem."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.ascontiguousarray(np.sort(edges.ends, axis=1)[:, ::-1])  # the boundary, -1, comes second
    slot_ends, slot = np.unique(ends, axis=0, return_inverse=True)
    slot = slot.reshape(-1).astype(np.int32)
    inner = np.flatnonzero(slot_ends[:, 1] >= 0)
    outer = np.flatnonzero(slot_ends[:, 1] < 0)
    here = np.concatenate([slot_ends[inner, 0], slot_ends[inner, 1]])
    there = np.concatenate([slot_ends[inner, 1], slot_ends[inner, 0]])
    order = np.argsort(here, kind="stable")
    boundary_slot = np.full(detectors, -1, dtype=np.int32)
    boundary_slot[slot_ends[outer, 0]] = outer
    links = coo_array((np.ones(len(here)), (here, there)), shape=(detectors, detectors))
    count, component = connected_components(links, directed=False)
    reaches = np.zeros(count, dtype=bool)
    reaches[component[boundary_slot >= 0]] = True
    number = np.where(reaches, -1, np.cumsum(~reaches) - 1)
    return Graph(
        ends=ends.astype(np.int32),
        observables=np.ascontiguousarray(edges.observables),
        slot=slot,
        slot_ends=slot_ends.astype(np.int32),
        start=np.concatenate([[0], np.cumsum(np.bincount(here, minlength=detectors))]).astype(np.int32),
        neighbour=there[order].astype(np.int32),
        through=np.concatenate([inner, inner])[order].astype(np.int32),
        boundary_slot=boundary_slot,
        island=number[component].astype(np.int32),
        islands=int((~reaches).sum()),
    )
