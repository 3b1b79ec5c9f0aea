"""Belief propagation in numba, backward pass: derivatives of a loss with respect to scales, dampings and prior factor.

Lanes, blocks and the conditions for vectorised loops are as in `kernels.py`. This module retraces its forward pass step by
step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.compiled_once import compiled_once
from autoqec.decoding.lanes import BOUND, LANES, ONE, TWO, compiled, gather
from autoqec.decoding.vector_math import log_positive

from .kernels import gather_least, load
from .layout import (
    AFTER,
    BEFORE,
    BLOCKS,
    DAMPING,
    HALF,
    OWN,
    PART,
    RUN,
    RUNS,
    SECOND,
    SIGN,
    SLOPE,
    SMALLEST,
    WHO,
    WHO_SECOND,
    ZERO,
    Tanner,
    Weights,
)


class Gradients(NamedTuple):
    """Derivatives of a loss with respect to `Weights`, one row per group of `LANES` shots, to be summed in order.

    Attributes:
        scale: float32 `[groups, iterations, incidences]`.
        damping: float32 `[groups, iterations]`.
        prior_scale: float32 `[groups]`.
        memory: float32 `[groups, mechanisms]`, or `[groups, 0]` for none.
    """

    scale: np.ndarray
    damping: np.ndarray
    prior_scale: np.ndarray
    memory: np.ndarray


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def _sum(values: np.ndarray) -> np.float32:
    result = ZERO
    for i in range(values.size):
        result += values[i]
    return result


@compiled
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
    """Backward pass through `scatter`: derivatives with respect to the scale, the damping, and the running products.

    With `t = 1 - 2q`, a check's answer is `2 artanh(Π t)` over the other inputs, so its derivative with respect to that product
    is `1 / (2 odd (1 - odd))`. `work` keeps: the product after each input, the derivative times the incoming gradient, and each
    input's gradient through the products before the others.
    """
    run[RUN : RUN + LANES] = ZERO
    run[SECOND : SECOND + LANES] = ZERO
    for step in range(downwards.size):
        k = downwards[step]
        factor = scale[first + k]
        own, mine = work[k], message[first + k]
        arriving, sums = by_message[first + k], by_following[mechanism[first + k]]
        for lane in range(LANES):
            arriving[lane] += sums[lane]
        for lane in range(LANES):
            before, after, q = own[BEFORE + lane], run[RUN + lane], own[OWN + lane]
            odd = max(before + after * (ONE - TWO * before), SMALLEST)
            run[RUN + lane] = after + abs(q) * (ONE - TWO * after)
            sign = np.copysign(ONE, q * run[SIGN + lane])
            answer = sign * log_positive((ONE - odd) / odd)
            weighted = arriving[lane] * (ONE - keep)
            own[PART + lane] = weighted * answer
            run[DAMPING + lane] += arriving[lane] * (mine[lane] - factor * answer)
            slope = weighted * factor * sign * (HALF / (odd * (ONE - odd)))
            t_before, t_after, t = ONE - TWO * before, ONE - TWO * after, ONE - TWO * abs(q)
            so_far = run[SECOND + lane]
            own[AFTER + lane] = t_after
            own[SLOPE + lane] = slope * t_before
            run[SECOND + lane] = so_far * t + slope * t_after
            own[BEFORE + lane] = so_far * t_before
        by_scale[first + k] += _sum(own[PART : PART + LANES])


@compiled
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
    """Backward pass through `gather`: derivatives with respect to the totals and the previous messages."""
    run[RUN : RUN + LANES] = ZERO
    for k in range(degree):
        own, arriving, sums = work[k], by_message[first + k], by_total[mechanism[first + k]]
        for lane in range(LANES):
            q = abs(own[OWN + lane])
            so_far = run[RUN + lane]
            by_t = own[BEFORE + lane] + so_far * own[AFTER + lane]
            run[RUN + lane] = so_far * (ONE - TWO * q) + own[SLOPE + lane]
            # Beyond the bound the input is clipped and its derivative is zero.
            inside = TWO * q * (ONE - q) if q > SMALLEST * np.float32(1.0001) else ZERO
            by_x = by_t * np.copysign(inside, own[OWN + lane])
            arriving[lane] = keep * arriving[lane] - by_x
            sums[lane] += by_x


@compiled
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
    """Backward pass of min-sum: a message's gradient goes to the input with the minimum magnitude, the first of equals."""
    run[WHO : WHO + LANES] = -ONE
    run[WHO_SECOND : WHO_SECOND + LANES] = -ONE
    for k in range(degree):
        own = work[k]
        who = np.float32(k)
        for lane in range(LANES):
            size = abs(own[OWN + lane])
            unclaimed = run[WHO + lane] < ZERO
            least = size == run[RUN + lane] and unclaimed
            run[WHO_SECOND + lane] = (
                who
                if size == run[SECOND + lane] and not least and run[WHO_SECOND + lane] < ZERO
                else run[WHO_SECOND + lane]
            )
            run[WHO + lane] = who if least else run[WHO + lane]
    # From here `run` accumulates the gradient of the smallest input (RUN) and of the second smallest (SECOND).
    for k in range(degree):
        factor = scale[first + k]
        who = np.float32(k)
        own, mine = work[k], message[first + k]
        arriving, sums = by_message[first + k], by_following[mechanism[first + k]]
        for lane in range(LANES):
            arriving[lane] += sums[lane]
        for lane in range(LANES):
            sign = np.copysign(ONE, own[OWN + lane] * run[SIGN + lane])
            size = run[SECOND + lane] if run[WHO + lane] == who else run[RUN + lane]
            answer = sign * size
            weighted = arriving[lane] * (ONE - keep)
            own[PART + lane] = weighted * answer
            own[SLOPE + lane] = weighted * factor * sign
            run[DAMPING + lane] += arriving[lane] * (mine[lane] - factor * answer)
        by_scale[first + k] += _sum(own[PART : PART + LANES])
    run[RUN : RUN + LANES] = ZERO
    run[SECOND : SECOND + LANES] = ZERO
    for k in range(degree):
        own = work[k]
        who = np.float32(k)
        for lane in range(LANES):
            least = run[WHO + lane] == who
            run[RUN + lane] += ZERO if least else own[SLOPE + lane]
            run[SECOND + lane] += own[SLOPE + lane] if least else ZERO
    for k in range(degree):
        own, arriving, sums = work[k], by_message[first + k], by_total[mechanism[first + k]]
        who = np.float32(k)
        for lane in range(LANES):
            by_size = run[RUN + lane] if run[WHO + lane] == who else ZERO
            by_size = run[SECOND + lane] if run[WHO_SECOND + lane] == who else by_size
            by_size = by_size if abs(own[OWN + lane]) < BOUND else ZERO
            by_x = by_size * np.copysign(ONE, own[OWN + lane])
            arriving[lane] = keep * arriving[lane] - by_x
            sums[lane] += by_x


@compiled
def _add(more: np.ndarray, sums: np.ndarray) -> None:
    for m in range(len(sums)):
        new, old = more[m], sums[m]
        for lane in range(LANES):
            old[lane] += new[lane]


@compiled
def _forget(
    memory: np.ndarray,
    prior: np.ndarray,
    total: np.ndarray,
    by_following: np.ndarray,
    by_total: np.ndarray,
    by_prior: np.ndarray,
    by_memory: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Backward pass through `remember`."""
    for m in range(memory.size):
        share, arriving, before, start = memory[m], by_following[m], by_total[m], by_prior[m]
        for lane in range(LANES):
            before[lane] = share * arriving[lane]
            start[lane] += (ONE - share) * arriving[lane]
        first, last = prior[m], total[m]
        for lane in range(LANES):
            scratch[lane] = arriving[lane] * (last[lane] - first[lane])
        by_memory[m] += _sum(scratch[:LANES])


@compiled
def _back_through_checks(
    tanner: Tanner,
    min_sum: bool,
    scale: np.ndarray,
    keep: np.float32,
    fired: np.ndarray,
    total: np.ndarray,
    message: np.ndarray,
    by_message: np.ndarray,
    by_following: np.ndarray,
    by_total: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
    by_scale: np.ndarray,
) -> None:
    """Backwards through the checks of one iteration, in the order of the forward pass."""
    degree = len(tanner.downwards)
    for detector in range(len(tanner.start) - 1):
        first = tanner.start[detector]
        n = tanner.start[detector + 1] - first
        run[SIGN : SIGN + LANES] = fired[detector]
        if min_sum:
            gather_least(first, n, tanner.mechanism, total, message, work, run)
            _back_through_least(
                first, n, tanner.mechanism, scale, keep, message, by_message, by_following, by_total, work, run,
                by_scale,
            )  # fmt: skip
        else:
            run[RUN : RUN + LANES] = ZERO
            gather(first, n, tanner.mechanism, total, message, work, run)
            _by_messages(
                first, tanner.downwards[degree - n :], tanner.mechanism, scale, keep, message, by_message,
                by_following, work, run, by_scale,
            )  # fmt: skip
            _by_inputs(first, n, tanner.mechanism, keep, by_message, by_total, work, run)


@compiled_once("the gradient of belief propagation", 6)
@compiled
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
    """Backpropagate a loss through `propagate`.

    Args:
        syndromes, beliefs, tanner, weights, min_sum, trace, out: Inputs and outputs of `propagate`.
        by_out: Derivatives with respect to `out`, float32 `[shots, mechanisms]`.
        gradients: Output: derivatives with respect to the weights, per group.
        by_beliefs: Output: derivatives with respect to the incoming beliefs, float32 `[shots, mechanisms]`.
    """
    shots, mechanisms = beliefs.shape
    detectors = len(tanner.start) - 1
    degree = len(tanner.downwards)
    incidences = len(tanner.mechanism)
    fired = np.empty((detectors, LANES), dtype=np.float32)
    prior = np.empty((mechanisms, LANES), dtype=np.float32)
    by_following = np.empty((mechanisms, LANES), dtype=np.float32)
    by_total = np.empty((mechanisms, LANES), dtype=np.float32)
    by_prior = np.empty((mechanisms, LANES), dtype=np.float32)
    by_message = np.empty((incidences, LANES), dtype=np.float32)
    work = np.empty((degree, BLOCKS), dtype=np.float32)
    run = np.empty(RUNS, dtype=np.float32)
    for begin in range(0, shots, LANES):
        end = min(begin + LANES, shots)
        group = begin // LANES
        load(syndromes[begin:end], beliefs[begin:end], weights.prior_scale[0], fired, prior)
        by_message[:] = ZERO
        by_following[:] = ZERO
        for lane in range(end - begin):
            for m in range(mechanisms):
                if abs(out[begin + lane, m]) < BOUND:
                    by_following[m, lane] = by_out[begin + lane, m]
        by_prior[:] = ZERO
        gradients.memory[group] = ZERO
        for iteration in range(len(weights.scale) - 1, -1, -1):
            message = trace[group, iteration, :incidences]
            total = trace[group, iteration, incidences:]
            scale = weights.scale[iteration]
            by_scale = gradients.scale[group, iteration]
            by_scale[:] = ZERO
            keep = weights.damping[iteration] if iteration else ZERO
            by_total[:] = ZERO
            if len(weights.memory):
                _forget(
                    weights.memory, prior, total, by_following, by_total, by_prior, gradients.memory[group], work[0]
                )
            else:
                _add(by_following, by_prior)
            run[DAMPING : DAMPING + LANES] = ZERO
            _back_through_checks(
                tanner, min_sum, scale, keep, fired, total, message, by_message, by_following, by_total, work, run,
                by_scale,
            )  # fmt: skip
            gradients.damping[group, iteration] = _sum(run[DAMPING : DAMPING + LANES]) if iteration else ZERO
            by_following, by_total = by_total, by_following
        _add(by_following, by_prior)
        by_scale_of_prior = np.float64(0.0)
        for lane in range(end - begin):
            for m in range(mechanisms):
                by_beliefs[begin + lane, m] = weights.prior_scale[0] * by_prior[m, lane]
                by_scale_of_prior += by_prior[m, lane] * beliefs[begin + lane, m]
        gradients.prior_scale[group] = by_scale_of_prior
