"""The confidence of `mwpm`: the complementary gap of PyMatching's answers, for any number of observables."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pymatching

from .gap_forced import ForcedClass
from .gap_kernel import ABOVE, SOLVED, TOO_LARGE, Room, gaps, room_for
from .gap_tables import NO_WAY, StaticGraph, Tables, static_graph, tables_of

#: The first limit of a search, in nats; each of the next is twice the one before.
_FIRST_LIMIT = 8.0

#: What PyMatching's rounding and ours may differ by, in nats.
_MARGIN = 0.02

_DEFECTS, _STATES = 256, 4096


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

    @cached_property
    def _forced(self) -> list[ForcedClass]:
        return [ForcedClass(self._graph, o, tables.gauge) for o, tables in enumerate(self._tables)]

    @cached_property
    def _room(self) -> Room:
        return room_for(_DEFECTS, _STATES)

    def of(
        self, syndromes: np.ndarray, answers: np.ndarray, weights: np.ndarray, invalid: np.ndarray, at_most: float
    ) -> np.ndarray:
        """Return the gap of each answer in nats, float32 `[shots]`: 0 for an invalid shot, infinity without another class.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            answers: PyMatching's answers, bit-packed, uint8 `[shots, ceil(observables / 8)]`.
            weights: Their weights in nats, float64 `[shots]`.
            invalid: Shots without a solution, bool `[shots]`.
            at_most: A gap above it need not be exact.
        """
        least = np.full(len(syndromes), np.inf)
        valid = np.flatnonzero(~invalid)
        for observable in range(self._observables):
            sides = answers[valid, observable >> 3] >> (observable & 7) & 1
            found = self._one(observable, syndromes[valid], sides, weights[valid], at_most)
            least[valid] = np.minimum(least[valid], found)
        least[invalid] = 0.0
        return least.astype(np.float32)

    def _one(
        self, observable: int, syndromes: np.ndarray, sides: np.ndarray, weights: np.ndarray, at_most: float
    ) -> np.ndarray:
        graph, tables = self._graph, self._tables[observable]
        if tables.loop >= NO_WAY:
            return np.full(len(syndromes), np.inf)
        whole = tables.loop / graph.per_nat
        sides = sides ^ np.uint8(graph.granted[observable])
        units = np.ceil((weights - graph.offset + _MARGIN) * graph.per_nat).astype(np.int64)
        result = np.full(len(syndromes), whole)
        waiting = np.arange(len(syndromes))
        limit = min(_FIRST_LIMIT, at_most)
        while len(waiting):
            limit = min(limit, whole)
            gap, status = np.empty(len(waiting), dtype=np.int64), np.empty(len(waiting), dtype=np.uint8)
            bound = np.int64(limit * graph.per_nat)
            gaps(
                syndromes[waiting], graph.toggled, sides[waiting], units[waiting], bound, tables, self._room, gap, status
            )
            result[waiting] = np.maximum(gap, 0) / graph.per_nat
            hard = waiting[status == TOO_LARGE]
            if len(hard):
                other = self._forced[observable].weights(syndromes[hard], sides[hard] ^ 1)
                result[hard] = np.maximum(other - (weights[hard] - graph.offset), 0.0)
            waiting = waiting[status == ABOVE] if limit < min(at_most, whole) else waiting[:0]
            limit = min(2 * limit, at_most)
        return result
