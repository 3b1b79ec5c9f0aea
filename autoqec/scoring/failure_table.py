"""Counts where failures are, by how hard the shots are and where their fired detectors lie: on development shots only, for agents
that propose what to try next.

The bands are fixed before a shot is scored, so that chunks add up and nothing about them depends on the shots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from autoqec.problem.geometry import Geometry, find_geometry
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_chunk
from autoqec.results.failure_bands import FIRED, OFF_CENTRE, TIME, FailureBand

#: Upper ends of the bands of a gap, in nats: the gate of the first templates sends on what is at most the last one at distance 5.
GAP_ENDS = (2.0, 4.4)

#: And of any other confidence, which says yes (1) or no (0).
_OTHER_ENDS = (0.5,)

#: Shares of a sample's shots whose fired detectors are the upper ends of bands, the same by place, and the seed of that sample.
_FIRED_SHARES = (0.5, 0.9)
_PLACE_SHARES = (1 / 3, 2 / 3)
_SAMPLE_SEED = 0

#: Positions are multiples of this part of a circuit's unit, so that their sums are exact in any order.
_PARTS = 1024

#: The ends up to which a confidence is worked out.
AT_MOST = GAP_ENDS[-1]


@dataclass(frozen=True)
class Measure:
    """A property of a syndrome, with the upper ends of its bands.

    Attributes:
        by: Its name.
        positions: int64 `[detectors]`; the property is the mean over the detectors that fire, and the mean over all detectors
            where none fires. None for the number of detectors that fire.
        ends: The upper ends of all bands but the last, which has none.
    """

    by: str
    positions: np.ndarray | None
    ends: tuple[float, ...] = ()

    def of(self, syndromes: np.ndarray) -> np.ndarray:
        """The property of each shot, `[shots]`; syndromes are bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`."""
        if self.positions is None:
            return np.asarray(np.bitwise_count(syndromes).sum(axis=1, dtype=np.int64))
        fired = np.unpackbits(syndromes, axis=1, count=len(self.positions), bitorder="little")
        fired[~fired.any(axis=1)] = 1
        means: np.ndarray = fired.astype(np.int64) @ self.positions / (fired.sum(axis=1, dtype=np.int64) * _PARTS)
        return means

    def bands(self, syndromes: np.ndarray, baseline: np.ndarray, candidate: np.ndarray) -> list[FailureBand]:
        """The bands of some shots.

        Args:
            syndromes: Bit-packed.
            baseline, candidate: Which shots the plain decoder and the candidate failed.
        """
        return list(_bands(self.by, self.of(syndromes), baseline, candidate, self.ends))


def measures_of(problem: Problem) -> tuple[Measure, ...]:
    """What shots of a problem are banded by beside the decoder's confidence; by place only where detectors have coordinates.

    The ends are quantiles of a fixed sample: half of its shots, and nine in ten, have at most so many fired detectors; a third
    lies between two ends of a place. A place that is the same for all detectors has no bands.
    """
    sample = sample_chunk(problem, _SAMPLE_SEED).syndromes
    found = [_with_ends(Measure(FIRED, None), sample, _FIRED_SHARES)]
    for by, positions in _places(find_geometry(problem)):
        if positions.min(initial=0) < positions.max(initial=0):
            found.append(_with_ends(Measure(by, positions), sample, _PLACE_SHARES))
    return tuple(found)


def _with_ends(measure: Measure, sample: np.ndarray, shares: Sequence[float]) -> Measure:
    value = measure.of(sample)
    ends = sorted({float(np.quantile(value, share, method="higher")) for share in shares})
    return Measure(measure.by, measure.positions, tuple(ends))


def _places(geometry: Geometry) -> Iterator[tuple[str, np.ndarray]]:
    if not geometry.has_coordinates or not len(geometry.coordinates):
        return
    space, time = geometry.coordinates[:, :2].astype(np.float64), geometry.coordinates[:, 2].astype(np.float64)
    centre = (space.min(axis=0) + space.max(axis=0)) / 2
    for by, positions in ((TIME, time), (OFF_CENTRE, np.linalg.norm(space - centre, axis=1))):
        yield by, np.rint(positions * _PARTS).astype(np.int64)


def by_confidence(kind: str, confidence: np.ndarray, baseline: np.ndarray, candidate: np.ndarray) -> list[FailureBand]:
    """The bands by the plain decoder's confidence, of the kind that it names."""
    return list(_bands(kind, confidence, baseline, candidate, GAP_ENDS if kind == "gap" else _OTHER_ENDS))


def _bands(
    by: str, value: np.ndarray, baseline: np.ndarray, candidate: np.ndarray, ends: Sequence[float]
) -> Iterator[FailureBand]:
    for low, high in pairwise((-np.inf, *ends, np.inf)):
        inside = (value > low) & (value <= high)
        counts = (int(each.sum()) for each in (inside, inside & baseline, inside & candidate))
        yield FailureBand(by, None if high == np.inf else float(high), *counts)
