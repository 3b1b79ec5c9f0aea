"""The confidence of `mwpm`: the complementary gap of PyMatching's answers, for any number of observables."""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np

from .gap_forced import ForcedClass
from .gap_kernel import ABOVE, TOO_LARGE, Room, gaps, room_for
from .gap_tables import NO_WAY, StaticGraph, Tables, local_tables, observable_graph, tables_of

#: The first limit of a search, in nats; each of the next is twice the one before. Beyond the last, PyMatching is faster.
_FIRST_LIMIT, _LAST_SEARCH = 8.0, 16.0

#: A search that needs more than its room is tried again with the large room, and with limits from this one on, in nats.
_LEAST_LIMIT = 0.5

#: What PyMatching's rounding and ours may differ by, in nats.
_MARGIN = 0.02

#: Bytes of all tables of a problem. Making them takes a few seconds then.
_MOST_BYTES = 1 << 26

#: Room for a shot: most defects and most states. Few shots of graphs without gauge need the larger one.
_ROOM, _LARGE_ROOM = (256, 1 << 12), (1024, 1 << 17)


class Gaps:
    """Complementary gaps on the weights of a PyMatching decoder.

    Args:
        graph: The graph of the decoder.
        observables: Observables per shot.
    """

    def __init__(self, graph: StaticGraph, observables: int) -> None:
        self._graph = graph
        self._observables = observables

    @cached_property
    def _each(self) -> list[_OneObservable]:
        share = _MOST_BYTES // max(1, self._observables)
        return [_OneObservable(self._graph, observable, share) for observable in range(self._observables)]

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
        for observable, one in enumerate(self._each):
            sides = answers[valid, observable >> 3] >> (observable & 7) & 1
            least[valid] = np.minimum(least[valid], one.gaps(syndromes[valid], sides, weights[valid], at_most))
        least[invalid] = 0.0
        return least.astype(np.float32)


class _OneObservable:
    """Gaps between the classes of one observable.

    With tables, the kernel does nearly all shots. In a graph with a gauge, PyMatching does those that are too large for it, and
    all where tables would take too much memory. Without a gauge there is no fast exact method (`gap_forced`), so the kernel
    gets more room, and then lower limits: what it proves is a lower bound.
    """

    def __init__(self, graph: StaticGraph, observable: int, most_bytes: int) -> None:
        self._graph = graph
        self._rooms = threading.local()
        self._view = observable_graph(graph, observable)
        detectors = len(self._view.gauge)
        parities = 1 if self._view.gauged else 2
        self._tabled = 4 * detectors * detectors * parities <= most_bytes
        self._granted = np.uint8(graph.granted[observable])

    @cached_property
    def _tables(self) -> Tables:
        return tables_of(self._view)

    @cached_property
    def _forced(self) -> ForcedClass:
        return ForcedClass(self._graph, self._view)

    def _room(self, sizes: tuple[int, int]) -> Room:
        """Room of one size for the kernel, for each thread its own: training asks from several."""
        rooms: dict[tuple[int, int], Room] = self._rooms.__dict__.setdefault("by_size", {})
        if sizes not in rooms:
            rooms[sizes] = room_for(*sizes)
        return rooms[sizes]

    def gaps(self, syndromes: np.ndarray, sides: np.ndarray, weights: np.ndarray, at_most: float) -> np.ndarray:
        """Return the gaps of valid shots in nats, float64 `[shots]`; arguments as for `Gaps.of`, `sides` uint8 `[shots]`."""
        if self._view.loop >= NO_WAY:
            return np.full(len(syndromes), np.inf)
        syndromes, sides = syndromes ^ self._graph.toggled, sides ^ self._granted
        weights = weights - self._graph.offset
        if not self._tabled and self._view.gauged:
            return self._by_forcing(syndromes, sides, weights)
        whole = self._view.loop / self._graph.per_nat
        result = np.full(len(syndromes), whole)
        waiting = np.arange(len(syndromes))
        limit = min(_FIRST_LIMIT, at_most, whole)
        while len(waiting):
            result[waiting], status = self._search(
                syndromes[waiting], sides[waiting], weights[waiting], limit, self._room(_ROOM)
            )
            open_ended = (status == ABOVE) & (limit < min(at_most, whole))
            hard = status == TOO_LARGE
            if self._view.gauged:
                hard |= open_ended & (limit >= _LAST_SEARCH)
                shots = waiting[hard]
                if len(shots):
                    result[shots] = self._by_forcing(syndromes[shots], sides[shots], weights[shots])
            else:
                for shot in waiting[hard]:
                    part = slice(shot, shot + 1)
                    result[shot] = self._with_large_room(
                        syndromes[part], sides[part], weights[part], min(at_most, whole)
                    )
            waiting = waiting[open_ended & ~hard]
            limit = min(2 * limit, at_most, whole)
        return result

    def _search(
        self, syndromes: np.ndarray, sides: np.ndarray, weights: np.ndarray, limit: float, room: Room
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the kernel; returns gaps in nats, float64 `[shots]`, and how it ended, uint8 `[shots]`."""
        per_nat = self._graph.per_nat
        units = np.ceil((weights + _MARGIN) * per_nat).astype(np.int64)
        gap, status = np.empty(len(sides), dtype=np.int64), np.empty(len(sides), dtype=np.uint8)
        bound = np.int64(np.ceil(limit * per_nat))
        if self._tabled:
            gaps(syndromes, sides, units, bound, self._tables, room, gap, status)
        for shot in range(len(sides)) if not self._tabled else ():
            tables, fires = local_tables(self._view, syndromes[shot])
            part = slice(shot, shot + 1)
            gaps(fires[None], sides[part], units[part], bound, tables, room, gap[part], status[part])
        return np.maximum(gap, 0) / per_nat, status

    def _by_forcing(self, syndromes: np.ndarray, sides: np.ndarray, weights: np.ndarray) -> np.ndarray:
        gaps: np.ndarray = self._forced.weights(syndromes, sides ^ 1) - weights
        return np.maximum(gaps, 0.0)

    def _with_large_room(self, syndromes: np.ndarray, sides: np.ndarray, weights: np.ndarray, limit: float) -> float:
        """Return the gap of one shot, or the largest lower bound found."""
        proven = 0.0
        tried = _LEAST_LIMIT
        while True:
            tried = min(tried, limit)
            gap, status = self._search(syndromes, sides, weights, tried, self._room(_LARGE_ROOM))
            if status[0] == TOO_LARGE:
                return proven
            if status[0] != ABOVE or tried >= limit:
                return float(gap[0])
            proven = tried
            tried *= 2
