"""Memory layout of belief propagation: graph, factors, and the blocks of scratch memory for forward and backward passes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoqec.decoding.lanes import LANES
from autoqec.problem.dem import LLR_BOUND

ZERO, HALF = np.float32(0.0), np.float32(0.5)
SMALLEST = np.float32(np.exp(-LLR_BOUND))

# The first two blocks of each are those that `autoqec.decoding.lanes.gather` writes.
# Blocks of a check's scratch memory, `work[input, block * LANES + lane]`.
OWN, BEFORE, AFTER, SLOPE, PART, BLOCKS = (block * LANES for block in range(6))
BLOCKS_FORWARD = AFTER
# Blocks of a check's running values, `run[block * LANES + lane]`.
RUN, SIGN, SECOND, WHO, WHO_SECOND, DAMPING, RUNS = (block * LANES for block in range(7))


class Tanner(NamedTuple):
    """The Tanner graph, sorted by detector.

    Attributes:
        start: Incidences of detector d are `start[d]:start[d + 1]`, int32 `[detectors + 1]`.
        mechanism: Mechanism of each incidence, int32 `[incidences]`, increasing within a detector.
        detector: Detector of each incidence, int32 `[incidences]`.
        downwards: `largest degree - 1, …, 1, 0`, int32.
    """

    start: np.ndarray
    mechanism: np.ndarray
    detector: np.ndarray
    downwards: np.ndarray


class Weights(NamedTuple):
    """The learned factors, expanded per incidence.

    Attributes:
        scale: Factor on each message from a detector, float32 `[iterations, incidences]`.
        damping: Fraction of the previous message in each message, float32 `[iterations]`; unused in the first iteration.
        prior_scale: Factor on the incoming beliefs, float32 `[1]`.
        memory: Fraction of each mechanism's last belief in its bias, float32 `[mechanisms]`, or empty for none.
    """

    scale: np.ndarray
    damping: np.ndarray
    prior_scale: np.ndarray
    memory: np.ndarray
