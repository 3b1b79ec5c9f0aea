"""The confidence of `mwpm`: the complementary gap of PyMatching's answers, for any number of observables."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pymatching

from autoqec.decoding.decoder_contract import Decoded

from .gap_exact import exact_gap
from .gap_kernel import TOO_LARGE, gaps
from .gap_tables import NO_WAY, StaticGraph, Tables, static_graph, tables_of


class Gaps:
    """Complementary gaps on the weights of a PyMatching decoder.

    Args:
        matching: The decoder.
        detectors: Detectors per shot.
        observables: Observables per shot.
    """

    def __init__(self, matching: pymatching.Matching, detectors: int, observables: int) -> None:
        self._matching = matching
        self._detectors = detectors
        self._observables = observables

    @cached_property
    def _graph(self) -> StaticGraph:
        return static_graph(self._matching, self._detectors, self._observables)

    @cached_property
    def _tables(self) -> list[Tables]:
        return [tables_of(self._graph, observable) for observable in range(self._observables)]

    def of(self, syndromes: np.ndarray, decoded: Decoded, at_most: float) -> np.ndarray:
        """Return the gap of each answer in nats, float32 `[shots]`: 0 for an invalid shot, infinity without another class.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            decoded: PyMatching's answers.
            at_most: A gap above it need not be exact.
        """
        graph = self._graph
        fires = np.unpackbits(syndromes, axis=1, count=self._detectors, bitorder="little").astype(np.bool_)
        fires ^= graph.toggled
        least = np.full(len(syndromes), NO_WAY, dtype=np.int64)
        gap, status = np.empty(len(syndromes), dtype=np.int64), np.empty(len(syndromes), dtype=np.uint8)
        for observable, tables in enumerate(self._tables):
            sides = (decoded.observables[:, observable >> 3] >> (observable & 7) & 1).astype(np.int64)
            sides ^= int(graph.granted[observable])
            gaps(fires, sides, tables.exits, tables.pair, tables.loop, gap, status)
            for shot in np.flatnonzero((status == TOO_LARGE) & ~decoded.invalid):
                gap[shot] = exact_gap(np.flatnonzero(fires[shot]), int(sides[shot]), tables)
            np.minimum(least, gap, out=least)
        nats = (np.maximum(least, 0) / graph.per_nat).astype(np.float32)
        nats[least >= NO_WAY] = np.inf
        nats[decoded.invalid] = 0.0
        return nats
