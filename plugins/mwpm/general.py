"""Exact matching of any one shot through fusion-blossom: slower than the kernel, without its limit on clusters.

Wu and Zhong, "Fusion Blossom: Fast MWPM Decoders for QEC" (IEEE QCE 2023); its solver takes weights per shot.
"""

from __future__ import annotations

import fusion_blossom
import numpy as np

from .matching_graph import Graph
from .matching_kernel import prepare


class GeneralSolver:
    """One solver, kept between shots; a shot that it panics on costs a new one."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        slots = len(graph.slot_ends)
        detectors = len(graph.boundary_slot)
        # Each way to the boundary ends in a virtual vertex of its own: with a shared one, which would be correct too,
        # clusters that touch the boundary meet there, and solving takes a fifth longer.
        ends = graph.slot_ends.astype(np.int64)
        outer = np.flatnonzero(ends[:, 1] < 0)
        ends[outer, 1] = detectors + np.arange(len(outer))
        virtual = list(range(detectors, detectors + len(outer)))
        # Weights must be even, so that half of one is an integer. These stand-ins are replaced in every shot.
        self._initializer = fusion_blossom.SolverInitializer(
            detectors + len(outer), [(a, b, 2) for a, b in ends.tolist()], virtual
        )
        self._solver = fusion_blossom.SolverSerial(self._initializer)
        self._numbers = range(slots)
        self._fires = np.zeros(detectors, dtype=np.bool_)
        self._weight = np.empty(slots, dtype=np.int64)
        self._chosen = np.zeros(slots, dtype=np.int32)

    def solve(self, syndrome: np.ndarray, log_odds: np.ndarray, observables: np.ndarray) -> int | None:
        """Match one shot that the kernel has found feasible.

        Args:
            syndrome: Bit-packed, uint8 `[ceil(detectors / 8)]`.
            log_odds: Of each edge, float32 `[edges]`, finite.
            observables: Written: predicted flips, uint8 `[ceil(observables / 8)]`.

        Returns:
            The weight of the solution in units of 1/`WEIGHTS_PER_NAT`; None when the solver failed.
        """
        total = prepare(syndrome, log_odds, self._graph, self._fires, self._weight, self._chosen, observables)
        weights = list(zip(self._numbers, (2 * self._weight).tolist(), strict=True))
        pattern = fusion_blossom.SyndromePattern(np.flatnonzero(self._fires).tolist(), [], weights)
        try:
            self._solver.solve(pattern)
            used = self._solver.subgraph()
            self._solver.clear()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a Rust panic arrives as PanicException, which is no Exception
            self._solver = fusion_blossom.SolverSerial(self._initializer)
            return None
        for slot in used:
            observables ^= self._graph.observables[self._chosen[slot]]
        return int(total + self._weight[used].sum())
