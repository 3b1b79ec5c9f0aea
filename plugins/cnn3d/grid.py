"""Places detectors on a grid: along each axis, a coordinate becomes its rank among the occurring values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoqec.errors import UsageError
from autoqec.problem.geometry import find_geometry
from autoqec.problem.problem import Problem

#: Maximum number of cells per detector; with more, the coordinates are scattered and the grid would be mostly empty.
_MAX_CELLS_PER_DETECTOR = 32


@dataclass(frozen=True)
class Grid:
    """A grid of cells; a cell can hold several detectors.

    Attributes:
        shape: Number of cells in time, y and x.
        slots: Maximum number of detectors in one cell.
        place: Index of each detector in `[slots, time, y, x]`, flattened, int64 `[detectors]`.
    """

    shape: tuple[int, int, int]
    slots: int
    place: np.ndarray


def lay_out(problem: Problem) -> Grid:
    """Find the grid of a problem's detectors.

    Raises:
        UsageError: Detectors have no coordinates, or do not lie on a grid.
    """
    geometry = find_geometry(problem)
    if not geometry.has_coordinates:
        raise UsageError(
            f"cnn3d: not every detector of {problem.name} has coordinates, so there is no space-time grid",
            hint="give the circuit's DETECTOR instructions coordinates (x, y, t), or use kind: gnn",
        )
    axes = [np.unique(geometry.coordinates[:, axis], return_inverse=True) for axis in (2, 1, 0)]
    shape = tuple(len(values) for values, _ in axes)
    cells = int(np.prod(shape))
    if cells > _MAX_CELLS_PER_DETECTOR * problem.num_detectors:
        raise UsageError(
            f"cnn3d: the {problem.num_detectors} detectors of {problem.name} would need a grid of {cells} cells",
            hint="give detectors coordinates on a grid, or use kind: gnn",
        )
    cell = np.ravel_multi_index([rank.reshape(-1) for _, rank in axes], shape)
    slot = np.zeros(len(cell), dtype=np.int64)
    order = np.argsort(cell, kind="stable")
    firsts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    slot[order] = np.arange(len(cell)) - np.repeat(firsts, np.diff(firsts, append=len(cell)))
    return Grid((shape[0], shape[1], shape[2]), int(slot.max()) + 1, slot * cells + cell)
