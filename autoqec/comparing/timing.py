"""Measures how long a decoder takes: shot by shot, and in batches, several times over.

The clock is the wall's: that is what a latency means. The decoder's process is kept on one core while it is measured, and nothing
else of the comparison runs. The spread over the repeats shows what the machine did besides.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from autoqec.results.decoder_comparison import DecodingTime, Spread

#: Repeats of every figure.
REPEATS = 5

#: Shots that are decoded one by one in each repeat, and shots of a batch, at most.
_SINGLE, _BATCH = 2000, 1024

#: Seconds that all of it is meant to take, half of them for single shots.
SECONDS = 2.0

#: Percentiles, and how many shots show one at least: with fewer it would be the slowest shot of all.
_PERCENTILES = {"p50": (50.0, 1), "p90": (90.0, 10), "p99": (99.0, 100), "p99.9": (99.9, 1000)}

#: Decodes shots, and returns the seconds that took.
Timed = Callable[[np.ndarray], float]


def measure(timed: Timed, syndromes: np.ndarray, seconds: float = SECONDS) -> DecodingTime:
    """Measure a decoder.

    Args:
        timed: Decodes a batch and returns its seconds.
        syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`, at least one.
        seconds: About how long to measure; at least one shot and one batch are decoded in each repeat.
    """
    one = _median([timed(syndromes[place : place + 1]) for place in range(min(3, len(syndromes)))])
    singles = _fitting(seconds / 2 / REPEATS, one, min(_SINGLE, len(syndromes)))
    times = [[1e6 * timed(syndromes[place : place + 1]) for place in range(singles)] for _ in range(REPEATS)]
    small = min(len(syndromes), 16)
    each = min(one, timed(syndromes[:small]) / small)
    batch = _fitting(seconds / 2 / REPEATS, each, min(_BATCH, len(syndromes)))
    batches = [1e6 * timed(syndromes[:batch]) / batch for _ in range(REPEATS)]
    percentiles = {
        name: spread([float(np.percentile(repeat, percent)) for repeat in times])
        for name, (percent, least) in _PERCENTILES.items()
        if singles >= least
    }
    return DecodingTime(REPEATS, singles, percentiles, batch, spread(batches))


def spread(figures: Sequence[float]) -> Spread:
    """The median, least and most of some figures, to a nanosecond."""
    return Spread(round(_median(figures), 3), round(min(figures), 3), round(max(figures), 3))


def _median(figures: Sequence[float]) -> float:
    return float(np.median(figures))


def _fitting(seconds: float, one: float, most: int) -> int:
    return max(1, min(most, int(seconds / max(one, 1e-9))))


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this process, and the threads that it starts, on one core, where the system can do that (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)
