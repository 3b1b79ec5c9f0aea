"""Exact matching of a single shot with fusion-blossom: slower than the kernel, but without its limit on clusters.

Wu and Zhong, "Fusion Blossom: Fast MWPM Decoders for QEC" (IEEE QCE 2023); its solver accepts weights per shot.
"""

from __future__ import annotations

import fusion_blossom
import numpy as np

from .matching_graph import Graph
from .matching_kernel import prepare


class GeneralSolver:
    """A solver that is reused between shots and replaced after a panic."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        slots = len(graph.slot_ends)
        detectors = len(graph.boundary_slot)
        # Each boundary edge ends in its own virtual vertex. A shared vertex would be correct too, but clusters that touch
        # the boundary would merge there, and solving would take a fifth longer.
        ends = graph.slot_ends.astype(np.int64)
        outer = np.flatnonzero(ends[:, 1] < 0)
        ends[outer, 1] = detectors + np.arange(len(outer))
        virtual = list(range(detectors, detectors + len(outer)))
        # Weights must be even, so that half of a weight is an integer. Every shot replaces these placeholders.
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
            log_odds: Log-odds of each edge, float32 `[edges]`, finite.
            observables: Output: predicted flips, uint8 `[ceil(observables / 8)]`.

        Returns:
            The weight of the solution in units of 1/`WEIGHTS_PER_NAT`; None if the solver failed.
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
        except BaseException:  # a Rust panic is a PanicException, which is not an Exception
            self._solver = fusion_blossom.SolverSerial(self._initializer)
            return None
        for slot in used:
            observables ^= self._graph.observables[self._chosen[slot]]
        return int(total + self._weight[used].sum())
