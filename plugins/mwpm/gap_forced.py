"""Gaps by PyMatching itself: the boundary edges of one parity end in a detector of their own, which says the class.

This needs a gauge (`gap_tables.Tables`); in general no fast method is known. The lightest set of paths with a given parity is
NP-hard where odd closed walks avoid the boundary (Schlotter and Sebő, "Odd Paths, Cycles and T-joins", arXiv:2211.12862).
"""

from __future__ import annotations

import numpy as np
import pymatching

from .gap_tables import ObservableGraph, StaticGraph


class ForcedClass:
    """Matching in a given class of one observable.

    Args:
        graph: The graph.
        view: The observable's view of it, with a gauge.
    """

    def __init__(self, graph: StaticGraph, view: ObservableGraph) -> None:
        self._gauge = view.gauge
        detectors = len(view.gauge)
        matching = pymatching.Matching()
        for (a, b), weight, odd in zip(
            view.cover.ends.tolist(), view.weight.tolist(), view.parity.tolist(), strict=True
        ):
            here, there = max(a, b), min(a, b)
            nats = weight / graph.per_nat
            if there >= 0:
                matching.add_edge(here, there, weight=nats, merge_strategy="smallest-weight")
            elif odd:
                matching.add_edge(here, detectors, weight=nats, merge_strategy="smallest-weight")
            else:
                matching.add_boundary_edge(here, weight=nats, merge_strategy="smallest-weight")
        self._matching = matching

    def weights(self, syndromes: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Return the least weight of each shot in a class, in nats, float64 `[shots]`.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            sides: The class, uint8 `[shots]`.
        """
        bits = np.unpackbits(syndromes, axis=1, count=len(self._gauge), bitorder="little")
        sides = sides ^ (bits & self._gauge).sum(axis=1, dtype=np.uint8) & 1
        shots = np.concatenate([bits, sides[:, None].astype(np.uint8)], axis=1)
        found: np.ndarray = self._matching.decode_batch(shots[:, : self._matching.num_detectors], return_weights=True)[
            1
        ]
        return found
