"""Both logical classes of a single shot by a general solver: slower than `classes`, but without its limit on clusters.

Where gauges make every edge between detectors even, the class is the parity of the odd edges to the boundary in a solution. These
edges end in a detector of their own, which fires or not, and so forces the class. Without such gauges no fast exact method is
known (`gap_forced`).
"""

from __future__ import annotations

import threading

import fusion_blossom
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .cover import Cover
from .gap_tables import gauge_of
from .matching_kernel import WEIGHTS_PER_NAT


class ForcedClasses:
    """Solves shots in a given class of one observable, each with its own weights.

    Args:
        parity: Whether each edge flips the observable, uint8 `[edges]`.
        cover: The graph.
    """

    def __init__(self, parity: np.ndarray, cover: Cover) -> None:
        detectors = len(cover.start) - 1
        gauge = gauge_of(parity, cover)
        self.possible = gauge is not None
        """Whether there are gauges."""
        if gauge is None:
            return
        self._gauge, self._parity, self._ends = gauge, parity, cover.ends
        inner, outer = cover.ends.max(axis=1), cover.ends.min(axis=1)
        odd = (outer < 0) & (parity ^ gauge[inner] != 0)
        there = np.where(odd, detectors, np.where(outer < 0, -1, outer))
        # Edges between the same two ends have one slot, which the lightest of them stands for.
        slots, self._slot = np.unique(np.stack([inner, there], axis=1), axis=0, return_inverse=True)
        self._slot = self._slot.reshape(-1)
        ends = slots.astype(np.int64)
        exits = np.flatnonzero(ends[:, 1] < 0)
        ends[exits, 1] = detectors + 1 + np.arange(len(exits))  # as in `general.GeneralSolver`
        vertices = detectors + 1 + len(exits)
        self._detectors = detectors
        self._initializer = fusion_blossom.SolverInitializer(
            vertices, [(a, b, 2) for a, b in ends.tolist()], list(range(detectors + 1, vertices))
        )
        self._islands = _islands(ends, vertices, detectors)
        self._solvers = threading.local()

    def solve(self, syndrome: np.ndarray, log_odds: np.ndarray, weights: np.ndarray, solutions: np.ndarray) -> bool:
        """Find the lightest solutions of a shot in both classes; arguments and result are those of `classes.both_classes`."""
        weight = np.rint(log_odds * np.float32(WEIGHTS_PER_NAT)).astype(np.int64)
        granted = weight < 0
        fires = np.zeros(self._detectors + 1, dtype=np.uint8)
        fires[:-1] = np.unpackbits(syndrome, count=self._detectors, bitorder="little")
        ends = self._ends[granted]
        np.bitwise_xor.at(fires, ends[ends >= 0], 1)
        turned = int(self._parity[granted].sum() & 1) ^ int((fires[:-1] & self._gauge).sum() & 1)
        weight = np.abs(weight)
        lightest = np.lexsort((weight, self._slot))
        chosen = lightest[np.searchsorted(self._slot[lightest], np.arange(self._slot.max() + 1))]
        for flipped in range(2):
            fires[-1] = flipped ^ turned
            used = self._used(fires, weight[chosen])
            if used is None:
                return False
            weights[flipped] = weight[chosen[used]].sum()
            solutions[flipped] = granted
            solutions[flipped, chosen[used]] ^= 1
        return True

    def _used(self, fires: np.ndarray, weight: np.ndarray) -> list[int] | None:
        """The slots of the lightest solution; None if there is none."""
        inside = self._islands >= 0
        if (np.bincount(self._islands[inside], weights=fires[inside]) % 2).any():
            return None
        if not hasattr(self._solvers, "solver"):
            self._solvers.solver = fusion_blossom.SolverSerial(self._initializer)
        solver = self._solvers.solver
        pattern = fusion_blossom.SyndromePattern(
            np.flatnonzero(fires).tolist(), [], list(enumerate((2 * weight).tolist()))
        )
        try:
            solver.solve(pattern)
            used: list[int] = solver.subgraph()
            solver.clear()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a Rust panic is a PanicException, which is not an Exception
            del self._solvers.solver
            return None
        return used


def _islands(ends: np.ndarray, vertices: int, detectors: int) -> np.ndarray:
    """The component of each detector, and of the one that forces the class; -1 where it reaches the boundary."""
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(vertices, vertices))
    count, component = connected_components(links, directed=False)
    reaches = np.zeros(count, dtype=bool)
    reaches[component[detectors + 1 :]] = True
    return np.where(reaches, -1, np.arange(count))[component[: detectors + 1]]
