"""Belief propagation in numba, forward and backward: many shots side by side, as lanes of vector instructions.

Arrays are `[incidences, lanes]` or `[mechanisms, lanes]`; the loop over lanes is the innermost one and runs over
contiguous memory. Every lane does the same operations in the same order whatever its neighbours hold, so a shot's beliefs
do not depend on the batch it came in.

A probability is carried as `q`, the smaller of p and 1 - p, together with its side as a sign. The chance that an odd
number of two independent events happens is then `q + r - 2qr`, exact at both ends: in `tanh(x / 2) = 1 - 2q`, the usual
form, everything beyond |x| = 17 is 1 in single precision. The product over all *other* messages of a check comes from
running products from both sides, so nothing is divided by a number that may be zero.

`error_model="numpy"` matters: a division that could raise keeps a loop from being vectorised.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.decoding.vector_math import exp_negative, log_positive
from autoqec.problem.dem import LLR_BOUND

#: Shots side by side: two or four vectors wide, and all messages of one group fit in a second-level cache.
LANES = 32

_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_BOUND = np.float32(LLR_BOUND)
_SMALLEST = np.float32(np.exp(-LLR_BOUND))
_OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


class Tanner(NamedTuple):
    """The Tanner graph by detector.

    Attributes:
        start: Incidences of detector d are `start[d]:start[d + 1]`, int32 `[detectors + 1]`.
        mechanism: Mechanism of each incidence, int32 `[incidences]`, increasing within a detector.
        detector: Detector of each incidence, int32 `[incidences]`.
        downwards: `largest degree - 1, …, 1, 0`, int32; see `_others`.
    """

    start: np.ndarray
    mechanism: np.ndarray
    detector: np.ndarray
    downwards: np.ndarray


class Weights(NamedTuple):
    """What is learned, spelled out per incidence.

    Attributes:
        scale: Factor on each message from a detector, float32 `[iterations, incidences]`.
        damping: Share of the previous message kept in each, float32 `[iterations]`; the first has no previous one.
        prior_scale: Factor on the incoming beliefs, float32 `[1]`.
    """

    scale: np.ndarray
    damping: np.ndarray
    prior_scale: np.ndarray


@njit(**_OPTIONS)
def _inputs(
    first: int, last: int, mechanism: np.ndarray, total: np.ndarray, message: np.ndarray, x: np.ndarray
) -> None:
    """Messages from mechanisms to one detector, bounded."""
    for k in range(first, last):
        a, b, c = total[mechanism[k]], message[k], x[k - first]
        for lane in range(x.shape[1]):
            c[lane] = min(max(a[lane] - b[lane], -_BOUND), _BOUND)


@njit(**_OPTIONS)
def _to_smaller(values: np.ndarray) -> None:
    """Log-likelihood ratios to signed smaller probabilities, in place: with two overlapping arrays nothing vectorises."""
    for i in range(values.size):
        e = exp_negative(-abs(values[i]))
        values[i] = np.copysign(e / (_ONE + e), values[i])


@njit(**_OPTIONS)
def _others(q: np.ndarray, downwards: np.ndarray, sign: np.ndarray, run: np.ndarray, before: np.ndarray) -> None:
    """Replace each input by the smaller probability that an odd number of the *other* inputs fired.

    Args:
        q: Signed smaller probabilities, float32 `[degree, lanes]`; each keeps its own sign.
        downwards: `degree - 1, …, 0`, int32. The table is there for its opacity: of a loop that counts down, the
            compiler cannot tell which rows it meets, and gives up on vectors.
        sign: Multiplied by the signs of all inputs, float32 `[lanes]`.
        run: Scratch, float32 `[lanes]`.
        before: Scratch, float32 `[degree, lanes]`.
    """
    lanes = sign.size
    run[:] = _ZERO
    for k in range(downwards.size):
        mine, kept = q[k], before[k]
        for lane in range(lanes):
            so_far, value = run[lane], mine[lane]
            kept[lane] = so_far
            run[lane] = so_far + abs(value) * (_ONE - _TWO * so_far)
        for lane in range(lanes):
            sign[lane] = sign[lane] * np.copysign(_ONE, mine[lane])
    run[:] = _ZERO
    for step in range(downwards.size):
        k = downwards[step]
        mine, kept = q[k], before[k]
        for lane in range(lanes):
            so_far, value = run[lane], mine[lane]
            odd = kept[lane] + so_far * (_ONE - _TWO * kept[lane])
            mine[lane] = np.copysign(max(odd, _SMALLEST), value)
            run[lane] = so_far + abs(value) * (_ONE - _TWO * so_far)


@njit(**_OPTIONS)
def _least_of_others(x: np.ndarray, sign: np.ndarray, least: np.ndarray, second: np.ndarray) -> None:
    """Min-sum: replace each input's magnitude by the least among the *other* inputs; see `_others` for the signs."""
    degree, lanes = x.shape
    least[:] = _BOUND
    second[:] = _BOUND
    for k in range(degree):
        mine = x[k]
        for lane in range(lanes):
            sign[lane] = sign[lane] * np.copysign(_ONE, mine[lane])
        for lane in range(lanes):
            size, smallest = abs(mine[lane]), least[lane]
            second[lane] = min(second[lane], max(smallest, size))
            least[lane] = min(smallest, size)
    for k in range(degree):
        mine = x[k]
        for lane in range(lanes):
            value = mine[lane]
            size = second[lane] if abs(value) <= least[lane] else least[lane]
            mine[lane] = np.copysign(size, value)


@njit(**_OPTIONS)
def _to_llr(values: np.ndarray) -> None:
    """Signed smaller probabilities to log-likelihood ratios, in place."""
    for i in range(values.size):
        p = abs(values[i])
        values[i] = np.copysign(log_positive((_ONE - p) / p), values[i])


@njit(**_OPTIONS)
def _load(
    syndromes: np.ndarray, beliefs: np.ndarray, prior_scale: np.float32, fired: np.ndarray, prior: np.ndarray
) -> None:
    """One group of shots into lanes; lanes without a shot hold an empty syndrome and indifferent beliefs."""
    shots = len(syndromes)
    fired[:] = _ONE
    prior[:] = _ZERO
    for lane in range(shots):
        row = beliefs[lane]
        for m in range(row.size):
            prior[m, lane] = prior_scale * row[m]
        for detector in range(len(fired)):
            if (syndromes[lane, detector >> 3] >> (detector & 7)) & 1:
                fired[detector, lane] = -_ONE


@njit(**_OPTIONS)
def propagate(
    syndromes: np.ndarray,
    beliefs: np.ndarray,
    tanner: Tanner,
    weights: Weights,
    min_sum: bool,
    trace: np.ndarray,
    out: np.ndarray,
) -> None:
    """Refine the beliefs of up to `LANES` shots.

    Args:
        syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
        beliefs: Incoming log-likelihood ratios, float32 `[shots, mechanisms]`.
        tanner: The graph.
        weights: What was learned.
        min_sum: Min-sum instead of sum-product.
        trace: Written: messages before each iteration, float32 `[iterations, incidences, LANES]`, for `backpropagate`;
            with no iterations, `[0, incidences, LANES]`, they are not kept.
        out: Written: refined beliefs, float32 `[shots, mechanisms]`, within ±`LLR_BOUND`.
    """
    shots, mechanisms = beliefs.shape
    detectors = len(tanner.start) - 1
    degree = len(tanner.downwards)
    fired = np.empty((detectors, LANES), dtype=np.float32)
    prior = np.empty((mechanisms, LANES), dtype=np.float32)
    total = np.empty((mechanisms, LANES), dtype=np.float32)
    following = np.empty((mechanisms, LANES), dtype=np.float32)
    message = np.zeros((len(tanner.mechanism), LANES), dtype=np.float32)
    x = np.empty((degree, LANES), dtype=np.float32)
    scratch = np.empty((degree, LANES), dtype=np.float32)
    sign = np.empty(LANES, dtype=np.float32)
    run = np.empty(LANES, dtype=np.float32)
    second = np.empty(LANES, dtype=np.float32)
    _load(syndromes, beliefs, weights.prior_scale[0], fired, prior)
    total[:] = prior
    for iteration in range(len(weights.scale)):
        if len(trace):
            trace[iteration] = message
        following[:] = prior
        keep = weights.damping[iteration] if iteration else _ZERO
        for detector in range(detectors):
            first, last = tanner.start[detector], tanner.start[detector + 1]
            n = last - first
            sign[:] = fired[detector]
            _inputs(first, last, tanner.mechanism, total, message, x)
            if min_sum:
                _least_of_others(x[:n], sign, run, second)
            else:
                _to_smaller(x[:n].reshape(-1))
                _others(x[:n], tanner.downwards[degree - n :], sign, run, scratch)
                _to_llr(x[:n].reshape(-1))
            for k in range(first, last):
                factor = weights.scale[iteration, k] * (_ONE - keep)
                new, old, sums = x[k - first], message[k], following[tanner.mechanism[k]]
                for lane in range(LANES):
                    updated = factor * (sign[lane] * new[lane]) + keep * old[lane]
                    old[lane] = updated
                    sums[lane] += updated
        total, following = following, total
    for lane in range(shots):
        row = out[lane]
        for m in range(mechanisms):
            row[m] = min(max(total[m, lane], -_BOUND), _BOUND)
