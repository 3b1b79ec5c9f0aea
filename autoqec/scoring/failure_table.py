"""Counts where failures are, by how hard the shots are: on development shots only, for agents that propose what to try next.

The bands are fixed before a shot is scored, so that chunks add up and nothing about them depends on the shots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_chunk
from autoqec.results.failure_bands import FIRED, FailureBand

#: Upper ends of the bands of a gap, in nats: the gate of the first templates sends on what is at most the last one at distance 5.
GAP_ENDS = (2.0, 4.4)

#: And of any other confidence, which says yes (1) or no (0).
_OTHER_ENDS = (0.5,)

#: Shares of a sample's shots whose fired detectors are the upper ends of bands, and the seed of that sample.
_FIRED_SHARES = (0.5, 0.9)
_SAMPLE_SEED = 0

#: The ends up to which a confidence is worked out.
AT_MOST = GAP_ENDS[-1]


def confidence_ends(kind: str) -> tuple[float, ...]:
    """The upper ends of the bands of a kind of confidence, but for the last band, which has none."""
    return GAP_ENDS if kind == "gap" else _OTHER_ENDS


def fired_ends(problem: Problem) -> tuple[float, ...]:
    """The upper ends of the bands by fired detectors: half of the shots, and nine in ten, have at most so many."""
    fired = _fired(sample_chunk(problem, _SAMPLE_SEED).syndromes)
    return tuple(sorted({float(np.quantile(fired, share, method="higher")) for share in _FIRED_SHARES}))


def by_fired(
    syndromes: np.ndarray, baseline: np.ndarray, candidate: np.ndarray, ends: Sequence[float]
) -> list[FailureBand]:
    """The bands by fired detectors.

    Args:
        syndromes: Bit-packed.
        baseline, candidate: Which shots the plain decoder and the candidate failed.
        ends: See `fired_ends`.
    """
    return list(_bands(FIRED, _fired(syndromes), baseline, candidate, ends))


def by_confidence(kind: str, confidence: np.ndarray, baseline: np.ndarray, candidate: np.ndarray) -> list[FailureBand]:
    """The bands by the plain decoder's confidence, of the kind that it names."""
    return list(_bands(kind, confidence, baseline, candidate, confidence_ends(kind)))


def _fired(syndromes: np.ndarray) -> np.ndarray:
    return np.asarray(np.bitwise_count(syndromes).sum(axis=1, dtype=np.int64))


def _bands(
    by: str, value: np.ndarray, baseline: np.ndarray, candidate: np.ndarray, ends: Sequence[float]
) -> Iterator[FailureBand]:
    for low, high in pairwise((-np.inf, *ends, np.inf)):
        inside = (value > low) & (value <= high)
        counts = (int(each.sum()) for each in (inside, inside & baseline, inside & candidate))
        yield FailureBand(by, None if high == np.inf else float(high), *counts)
