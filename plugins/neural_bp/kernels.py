"""Belief propagation in numba, forward and backward: many shots side by side, as lanes of vector instructions.

Arrays are `[incidences, lanes]` or `[mechanisms, lanes]`; the loop over lanes is the innermost one and runs over
contiguous memory. Every lane does the same operations in the same order whatever its neighbours hold, so a shot's beliefs
do not depend on the batch it came in.

A probability is carried as `q`, the smaller of p and 1 - p, together with its side as a sign. The chance that an odd
number of two independent events happens is then `q + r - 2qr`, exact at both ends: in `tanh(x / 2) = 1 - 2q`, the usual
form, everything beyond |x| = 17 is 1 in single precision. The product over all *other* messages of a check comes from
running products from both sides, so nothing is divided by a number that may be zero.

What keeps the loops over lanes vectorised, and is easily lost: `error_model="numpy"`, for a division that could raise is
done one at a time; few arrays per loop, for the compiler checks at most eight pairs of them for overlap, which is why the
scratch of a check is one array in blocks; and a table for counting down (`Tanner.downwards`), for of a loop that counts
down by itself the compiler cannot bound what it touches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.decoding.vector_math import exp_negative, log_positive
from autoqec.problem.dem import LLR_BOUND

#: Shots side by side: four vectors of 512 bits. Half as many spend as much again on starting loops; twice as many gain
#: nothing and outgrow the caches.
LANES = 64

_ZERO, _ONE, _TWO, _HALF = np.float32(0.0), np.float32(1.0), np.float32(2.0), np.float32(0.5)
_BOUND = np.float32(LLR_BOUND)
_SMALLEST = np.float32(np.exp(-LLR_BOUND))
_compiled = njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")

# Blocks of a check's scratch, `work[input, block * LANES + lane]`.
_OWN, _BEFORE, _AFTER, _SLOPE, _PART, _BLOCKS = (block * LANES for block in range(6))
_BLOCKS_FORWARD = _AFTER
# Blocks of a check's running values, `run[block * LANES + lane]`.
_RUN, _SIGN, _SECOND, _WHO, _WHO_SECOND, _DAMPING, _RUNS = (block * LANES for block in range(7))


class Tanner(NamedTuple):
    """The Tanner graph by detector.

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
    """What is learned, spelled out per incidence.

    Attributes:
        scale: Factor on each message from a detector, float32 `[iterations, incidences]`.
        damping: Share of the previous message kept in each, float32 `[iterations]`; the first has no previous one.
        prior_scale: Factor on the incoming beliefs, float32 `[1]`.
    """

    scale: np.ndarray
    damping: np.ndarray
    prior_scale: np.ndarray


class Gradients(NamedTuple):
    """Derivatives of a loss by `Weights`, one row per group of `LANES` shots, to be added up in order.

    Attributes:
        scale: float32 `[groups, iterations, incidences]`.
        damping: float32 `[groups, iterations]`.
        prior_scale: float32 `[groups]`.
    """

    scale: np.ndarray
    damping: np.ndarray
    prior_scale: np.ndarray


@_compiled
def _load(
    syndromes: np.ndarray, beliefs: np.ndarray, prior_scale: np.float32, fired: np.ndarray, prior: np.ndarray
) -> None:
    """One group of shots into lanes; lanes without a shot hold an empty syndrome and indifferent beliefs."""
    fired[:] = _ONE
    prior[:] = _ZERO
    for lane in range(len(syndromes)):
        row = beliefs[lane]
        for m in range(row.size):
            prior[m, lane] = prior_scale * row[m]
        for detector in range(len(fired)):
            if (syndromes[lane, detector >> 3] >> (detector & 7)) & 1:
                fired[detector, lane] = -_ONE


@_compiled
def _gather(
    first: int,
    degree: int,
    mechanism: np.ndarray,
    total: np.ndarray,
    message: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Inputs of one check as signed smaller probabilities, the running product before each, and the sign of all."""
    for k in range(degree):
        sums, mine, own = total[mechanism[first + k]], message[first + k], work[k]
        for lane in range(LANES):
            x = min(max(sums[lane] - mine[lane], -_BOUND), _BOUND)
            e = exp_negative(-abs(x))
            q = e / (_ONE + e)
            before = run[_RUN + lane]
            own[_OWN + lane] = np.copysign(q, x)
            own[_BEFORE + lane] = before
            run[_RUN + lane] = before + q * (_ONE - _TWO * before)
            run[_SIGN + lane] = run[_SIGN + lane] * np.copysign(_ONE, x)


@_compiled
def _scatter(
    first: int,
    downwards: np.ndarray,
    mechanism: np.ndarray,
    scale: np.ndarray,
    keep: np.float32,
    message: np.ndarray,
    following: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Messages of one check from its gathered inputs: each says how likely an odd number of the others fired."""
    for step in range(downwards.size):
        k = downwards[step]
        factor = scale[first + k] * (_ONE - keep)
        own, mine, sums = work[k], message[first + k], following[mechanism[first + k]]
        for lane in range(LANES):
            before, after, q = own[_BEFORE + lane], run[_RUN + lane], own[_OWN + lane]
            odd = max(before + after * (_ONE - _TWO * before), _SMALLEST)
            run[_RUN + lane] = after + abs(q) * (_ONE - _TWO * after)
            answer = np.copysign(log_positive((_ONE - odd) / odd), q * run[_SIGN + lane])
            updated = factor * answer + keep * mine[lane]
            mine[lane] = updated
            sums[lane] += updated


@_compiled
def _gather_least(
    first: int,
    degree: int,
    mechanism: np.ndarray,
    total: np.ndarray,
    message: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Min-sum: inputs of one check, the least and second least magnitude, and the sign of all."""
    run[_RUN : _RUN + LANES] = _BOUND
    run[_SECOND : _SECOND + LANES] = _BOUND
    for k in range(degree):
        sums, mine, own = total[mechanism[first + k]], message[first + k], work[k]
        for lane in range(LANES):
            x = min(max(sums[lane] - mine[lane], -_BOUND), _BOUND)
            size, least = abs(x), run[_RUN + lane]
            own[_OWN + lane] = x
            run[_SECOND + lane] = min(run[_SECOND + lane], max(least, size))
            run[_RUN + lane] = min(least, size)
            run[_SIGN + lane] = run[_SIGN + lane] * np.copysign(_ONE, x)


@_compiled
def _scatter_least(
    first: int,
    degree: int,
    mechanism: np.ndarray,
    scale: np.ndarray,
    keep: np.float32,
    message: np.ndarray,
    following: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Min-sum: messages of one check, each the least magnitude among the others."""
    for k in range(degree):
        factor = scale[first + k] * (_ONE - keep)
        own, mine, sums = work[k], message[first + k], following[mechanism[first + k]]
        for lane in range(LANES):
            x, least = own[_OWN + lane], run[_RUN + lane]
            size = run[_SECOND + lane] if abs(x) <= least else least
            updated = factor * np.copysign(size, x * run[_SIGN + lane]) + keep * mine[lane]
            mine[lane] = updated
            sums[lane] += updated


@_compiled
def propagate(
    syndromes: np.ndarray,
    beliefs: np.ndarray,
    tanner: Tanner,
    weights: Weights,
    min_sum: bool,
    trace: np.ndarray,
    out: np.ndarray,
) -> None:
    """Refine the beliefs of a batch.

    Args:
        syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
        beliefs: Incoming log-likelihood ratios, float32 `[shots, mechanisms]`.
        tanner: The graph.
        weights: What was learned.
        min_sum: Min-sum instead of sum-product.
        trace: Written: messages before each iteration, float32 `[groups, iterations, incidences, LANES]`, which
            `backpropagate` needs; with no groups they are not kept.
        out: Written: refined beliefs, float32 `[shots, mechanisms]`, within ±`LLR_BOUND`.
    """
    shots, mechanisms = beliefs.shape
    detectors = len(tanner.start) - 1
    degree = len(tanner.downwards)
    # Allocated once: fresh memory for every group would cost as much as a tenth of the work in page faults.
    fired = np.empty((detectors, LANES), dtype=np.float32)
    prior = np.empty((mechanisms, LANES), dtype=np.float32)
    total = np.empty((mechanisms, LANES), dtype=np.float32)
    following = np.empty((mechanisms, LANES), dtype=np.float32)
    message = np.empty((len(tanner.mechanism), LANES), dtype=np.float32)
    work = np.empty((degree, _BLOCKS_FORWARD), dtype=np.float32)
    run = np.empty(_RUNS, dtype=np.float32)
    for begin in range(0, shots, LANES):
        end = min(begin + LANES, shots)
        _load(syndromes[begin:end], beliefs[begin:end], weights.prior_scale[0], fired, prior)
        message[:] = _ZERO
        total[:] = prior
        for iteration in range(len(weights.scale)):
            if len(trace):
                trace[begin // LANES, iteration] = message
            following[:] = prior
            scale = weights.scale[iteration]
            keep = weights.damping[iteration] if iteration else _ZERO
            for detector in range(detectors):
                first = tanner.start[detector]
                n = tanner.start[detector + 1] - first
                run[_SIGN : _SIGN + LANES] = fired[detector]
                if min_sum:
                    _gather_least(first, n, tanner.mechanism, total, message, work, run)
                    _scatter_least(first, n, tanner.mechanism, scale, keep, message, following, work, run)
                else:
                    run[_RUN : _RUN + LANES] = _ZERO
                    _gather(first, n, tanner.mechanism, total, message, work, run)
                    run[_RUN : _RUN + LANES] = _ZERO
                    down = tanner.downwards[degree - n :]
                    _scatter(first, down, tanner.mechanism, scale, keep, message, following, work, run)
            total, following = following, total
        for lane in range(end - begin):
            row = out[begin + lane]
            for m in range(mechanisms):
                row[m] = min(max(total[m, lane], -_BOUND), _BOUND)


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def _sum(values: np.ndarray) -> np.float32:
    result = _ZERO
    for i in range(values.size):
        result += values[i]
    return result


@_compiled
def _by_messages(
    first: int,
    downwards: np.ndarray,
    mechanism: np.ndarray,
    scale: np.ndarray,
    keep: np.float32,
    message: np.ndarray,
    by_message: np.ndarray,
    by_following: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
    by_scale: np.ndarray,
) -> None:
    """Backwards through `_scatter`: by the scale, the damping, and the running products.

    With `t = 1 - 2q`, a check's answer is `2 artanh(Π t)` over the others, so its slope by that product is
    `1 / (2 odd (1 - odd))`. Left in `work`: the product after each input, the slope times what arrives, and what each
    input gets through the products before the others.
    """
    run[_RUN : _RUN + LANES] = _ZERO
    run[_SECOND : _SECOND + LANES] = _ZERO
    for step in range(downwards.size):
        k = downwards[step]
        factor = scale[first + k]
        own, mine = work[k], message[first + k]
        arriving, sums = by_message[first + k], by_following[mechanism[first + k]]
        for lane in range(LANES):
            arriving[lane] += sums[lane]
        for lane in range(LANES):
            before, after, q = own[_BEFORE + lane], run[_RUN + lane], own[_OWN + lane]
            odd = max(before + after * (_ONE - _TWO * before), _SMALLEST)
            run[_RUN + lane] = after + abs(q) * (_ONE - _TWO * after)
            sign = np.copysign(_ONE, q * run[_SIGN + lane])
            answer = sign * log_positive((_ONE - odd) / odd)
            weighted = arriving[lane] * (_ONE - keep)
            own[_PART + lane] = weighted * answer
            run[_DAMPING + lane] += arriving[lane] * (mine[lane] - factor * answer)
            slope = weighted * factor * sign * (_HALF / (odd * (_ONE - odd)))
            t_before, t_after, t = _ONE - _TWO * before, _ONE - _TWO * after, _ONE - _TWO * abs(q)
            so_far = run[_SECOND + lane]
            own[_AFTER + lane] = t_after
            own[_SLOPE + lane] = slope * t_before
            run[_SECOND + lane] = so_far * t + slope * t_after
            own[_BEFORE + lane] = so_far * t_before
        by_scale[first + k] += _sum(own[_PART : _PART + LANES])


@_compiled
def _by_inputs(
    first: int,
    degree: int,
    mechanism: np.ndarray,
    keep: np.float32,
    by_message: np.ndarray,
    by_total: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Backwards through `_gather`: by the totals and the previous messages."""
    run[_RUN : _RUN + LANES] = _ZERO
    for k in range(degree):
        own, arriving, sums = work[k], by_message[first + k], by_total[mechanism[first + k]]
        for lane in range(LANES):
            q = abs(own[_OWN + lane])
            so_far = run[_RUN + lane]
            by_t = own[_BEFORE + lane] + so_far * own[_AFTER + lane]
            run[_RUN + lane] = so_far * (_ONE - _TWO * q) + own[_SLOPE + lane]
            # Beyond the bound the input is clipped and has no slope.
            inside = _TWO * q * (_ONE - q) if q > _SMALLEST * np.float32(1.0001) else _ZERO
            by_x = by_t * np.copysign(inside, own[_OWN + lane])
            arriving[lane] = keep * arriving[lane] - by_x
            sums[lane] += by_x


@_compiled
def _back_through_least(
    first: int,
    degree: int,
    mechanism: np.ndarray,
    scale: np.ndarray,
    keep: np.float32,
    message: np.ndarray,
    by_message: np.ndarray,
    by_following: np.ndarray,
    by_total: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
    by_scale: np.ndarray,
) -> None:
    """Min-sum backwards: what a message gets goes to the one input whose magnitude it is, the first of equals."""
    run[_WHO : _WHO + LANES] = -_ONE
    run[_WHO_SECOND : _WHO_SECOND + LANES] = -_ONE
    for k in range(degree):
        own = work[k]
        who = np.float32(k)
        for lane in range(LANES):
            size = abs(own[_OWN + lane])
            unclaimed = run[_WHO + lane] < _ZERO
            least = size == run[_RUN + lane] and unclaimed
            run[_WHO_SECOND + lane] = (
                who
                if size == run[_SECOND + lane] and not least and run[_WHO_SECOND + lane] < _ZERO
                else run[_WHO_SECOND + lane]
            )
            run[_WHO + lane] = who if least else run[_WHO + lane]
    # From here the scratch for running values holds: what the least gets (_RUN), what the second least gets (_SECOND).
    for k in range(degree):
        factor = scale[first + k]
        who = np.float32(k)
        own, mine = work[k], message[first + k]
        arriving, sums = by_message[first + k], by_following[mechanism[first + k]]
        for lane in range(LANES):
            arriving[lane] += sums[lane]
        for lane in range(LANES):
            sign = np.copysign(_ONE, own[_OWN + lane] * run[_SIGN + lane])
            size = run[_SECOND + lane] if run[_WHO + lane] == who else run[_RUN + lane]
            answer = sign * size
            weighted = arriving[lane] * (_ONE - keep)
            own[_PART + lane] = weighted * answer
            own[_SLOPE + lane] = weighted * factor * sign
            run[_DAMPING + lane] += arriving[lane] * (mine[lane] - factor * answer)
        by_scale[first + k] += _sum(own[_PART : _PART + LANES])
    run[_RUN : _RUN + LANES] = _ZERO
    run[_SECOND : _SECOND + LANES] = _ZERO
    for k in range(degree):
        own = work[k]
        who = np.float32(k)
        for lane in range(LANES):
            least = run[_WHO + lane] == who
            run[_RUN + lane] += _ZERO if least else own[_SLOPE + lane]
            run[_SECOND + lane] += own[_SLOPE + lane] if least else _ZERO
    for k in range(degree):
        own, arriving, sums = work[k], by_message[first + k], by_total[mechanism[first + k]]
        who = np.float32(k)
        for lane in range(LANES):
            by_size = run[_RUN + lane] if run[_WHO + lane] == who else _ZERO
            by_size = run[_SECOND + lane] if run[_WHO_SECOND + lane] == who else by_size
            by_size = by_size if abs(own[_OWN + lane]) < _BOUND else _ZERO
            by_x = by_size * np.copysign(_ONE, own[_OWN + lane])
            arriving[lane] = keep * arriving[lane] - by_x
            sums[lane] += by_x


@_compiled
def backpropagate(
    syndromes: np.ndarray,
    beliefs: np.ndarray,
    tanner: Tanner,
    weights: Weights,
    min_sum: bool,
    trace: np.ndarray,
    out: np.ndarray,
    by_out: np.ndarray,
    gradients: Gradients,
    by_beliefs: np.ndarray,
) -> None:
    """Derivatives of a loss through `propagate`.

    Args:
        syndromes, beliefs, tanner, weights, min_sum, trace, out: As given to and written by `propagate`.
        by_out: Derivatives by `out`, float32 `[shots, mechanisms]`.
        gradients: Written: derivatives by the weights, per group.
        by_beliefs: Written: derivatives by the incoming beliefs, float32 `[shots, mechanisms]`.
    """
    shots, mechanisms = beliefs.shape
    detectors = len(tanner.start) - 1
    degree = len(tanner.downwards)
    incidences = len(tanner.mechanism)
    fired = np.empty((detectors, LANES), dtype=np.float32)
    prior = np.empty((mechanisms, LANES), dtype=np.float32)
    total = np.empty((mechanisms, LANES), dtype=np.float32)
    by_following = np.empty((mechanisms, LANES), dtype=np.float32)
    by_total = np.empty((mechanisms, LANES), dtype=np.float32)
    by_prior = np.empty((mechanisms, LANES), dtype=np.float32)
    by_message = np.empty((incidences, LANES), dtype=np.float32)
    work = np.empty((degree, _BLOCKS), dtype=np.float32)
    run = np.empty(_RUNS, dtype=np.float32)
    for begin in range(0, shots, LANES):
        end = min(begin + LANES, shots)
        group = begin // LANES
        _load(syndromes[begin:end], beliefs[begin:end], weights.prior_scale[0], fired, prior)
        by_message[:] = _ZERO
        by_following[:] = _ZERO
        for lane in range(end - begin):
            for m in range(mechanisms):
                if abs(out[begin + lane, m]) < _BOUND:
                    by_following[m, lane] = by_out[begin + lane, m]
        by_prior[:] = by_following
        for iteration in range(len(weights.scale) - 1, -1, -1):
            message = trace[group, iteration]
            scale = weights.scale[iteration]
            by_scale = gradients.scale[group, iteration]
            by_scale[:] = _ZERO
            keep = weights.damping[iteration] if iteration else _ZERO
            total[:] = prior
            for k in range(incidences):
                sums, mine = total[tanner.mechanism[k]], message[k]
                for lane in range(LANES):
                    sums[lane] += mine[lane]
            by_total[:] = _ZERO
            run[_DAMPING : _DAMPING + LANES] = _ZERO
            for detector in range(detectors):
                first = tanner.start[detector]
                n = tanner.start[detector + 1] - first
                run[_SIGN : _SIGN + LANES] = fired[detector]
                if min_sum:
                    _gather_least(first, n, tanner.mechanism, total, message, work, run)
                    _back_through_least(
                        first, n, tanner.mechanism, scale, keep, message, by_message, by_following, by_total, work, run,
                        by_scale,
                    )  # fmt: skip
                else:
                    run[_RUN : _RUN + LANES] = _ZERO
                    _gather(first, n, tanner.mechanism, total, message, work, run)
                    _by_messages(
                        first, tanner.downwards[degree - n :], tanner.mechanism, scale, keep, message, by_message,
                        by_following, work, run, by_scale,
                    )  # fmt: skip
                    _by_inputs(first, n, tanner.mechanism, keep, by_message, by_total, work, run)
            gradients.damping[group, iteration] = _sum(run[_DAMPING : _DAMPING + LANES]) if iteration else _ZERO
            by_following, by_total = by_total, by_following
            for m in range(mechanisms):
                sums, mine = by_prior[m], by_following[m]
                for lane in range(LANES):
                    sums[lane] += mine[lane]
        by_scale_of_prior = np.float64(0.0)
        for lane in range(end - begin):
            for m in range(mechanisms):
                by_beliefs[begin + lane, m] = weights.prior_scale[0] * by_prior[m, lane]
                by_scale_of_prior += by_prior[m, lane] * beliefs[begin + lane, m]
        gradients.prior_scale[group] = by_scale_of_prior
