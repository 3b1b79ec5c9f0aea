"""Belief propagation in numba, forward pass: many shots in parallel, as lanes of vector instructions.

Arrays are `[incidences, lanes]` or `[mechanisms, lanes]`. The loop over lanes is innermost and runs over contiguous memory.
Every lane performs the same operations in the same order, so a shot's beliefs do not depend on its batch.

A probability is stored as `q`, the smaller of p and 1 - p, with a sign for the side. The probability that exactly one of two
independent events happens is then `q + r - 2qr`, accurate at both ends. In the usual form `tanh(x / 2) = 1 - 2q`, all
|x| > 17 give 1 in single precision. The product over all *other* messages of a check comes from running products from both
sides, which avoids division by a number that may be zero.

Vectorisation of the loops over lanes depends on three conditions. `error_model="numpy"`: the compiler does not vectorise a
division that may raise. Few arrays per loop: the compiler checks at most eight pairs of arrays for overlap, so the scratch
memory of a check is one array in blocks. A table for counting down (`Tanner.downwards`): for a loop that counts down the
compiler cannot bound the memory accesses.
"""

from __future__ import annotations

import numpy as np

from autoqec.compiled_once import compiled_once
from autoqec.decoding.lanes import BOUND, LANES, ONE, TWO, compiled, gather
from autoqec.decoding.vector_math import log_positive

from .layout import (
    BEFORE,
    BLOCKS_FORWARD,
    OWN,
    RUN,
    RUNS,
    SECOND,
    SIGN,
    SMALLEST,
    ZERO,
    Tanner,
    Weights,
)


@compiled
def load(
    syndromes: np.ndarray, beliefs: np.ndarray, prior_scale: np.float32, fired: np.ndarray, prior: np.ndarray
) -> None:
    """Load one group of shots into lanes; lanes without a shot get an empty syndrome and zero beliefs."""
    fired[:] = ONE
    prior[:] = ZERO
    for lane in range(len(syndromes)):
        row = beliefs[lane]
        for m in range(row.size):
            prior[m, lane] = prior_scale * row[m]
        for detector in range(len(fired)):
            if (syndromes[lane, detector >> 3] >> (detector & 7)) & 1:
                fired[detector, lane] = -ONE


@compiled
def scatter(
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
    """Compute the messages of one check from its gathered inputs: the log-odds that an odd number of the others fired."""
    for step in range(downwards.size):
        k = downwards[step]
        factor = scale[first + k] * (ONE - keep)
        own, mine, sums = work[k], message[first + k], following[mechanism[first + k]]
        for lane in range(LANES):
            before, after, q = own[BEFORE + lane], run[RUN + lane], own[OWN + lane]
            odd = max(before + after * (ONE - TWO * before), SMALLEST)
            run[RUN + lane] = after + abs(q) * (ONE - TWO * after)
            answer = np.copysign(log_positive((ONE - odd) / odd), q * run[SIGN + lane])
            updated = factor * answer + keep * mine[lane]
            mine[lane] = updated
            sums[lane] += updated


@compiled
def gather_least(
    first: int,
    degree: int,
    mechanism: np.ndarray,
    total: np.ndarray,
    message: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Min-sum: gather the inputs of one check, the two smallest magnitudes, and the total sign."""
    run[RUN : RUN + LANES] = BOUND
    run[SECOND : SECOND + LANES] = BOUND
    for k in range(degree):
        sums, mine, own = total[mechanism[first + k]], message[first + k], work[k]
        for lane in range(LANES):
            x = min(max(sums[lane] - mine[lane], -BOUND), BOUND)
            size, least = abs(x), run[RUN + lane]
            own[OWN + lane] = x
            run[SECOND + lane] = min(run[SECOND + lane], max(least, size))
            run[RUN + lane] = min(least, size)
            run[SIGN + lane] = run[SIGN + lane] * np.copysign(ONE, x)


@compiled
def scatter_least(
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
    """Min-sum: compute the messages of one check, each the smallest magnitude among the others."""
    for k in range(degree):
        factor = scale[first + k] * (ONE - keep)
        own, mine, sums = work[k], message[first + k], following[mechanism[first + k]]
        for lane in range(LANES):
            x, least = own[OWN + lane], run[RUN + lane]
            size = run[SECOND + lane] if abs(x) <= least else least
            updated = factor * np.copysign(size, x * run[SIGN + lane]) + keep * mine[lane]
            mine[lane] = updated
            sums[lane] += updated


@compiled
def remember(memory: np.ndarray, prior: np.ndarray, total: np.ndarray, following: np.ndarray) -> None:
    """Compute the biases of an iteration: a mixture of prior and previous belief."""
    for m in range(memory.size):
        share, start, last, bias = memory[m], prior[m], total[m], following[m]
        for lane in range(LANES):
            bias[lane] = start[lane] + share * (last[lane] - start[lane])


@compiled_once("belief propagation", 8)
@compiled
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
        weights: The learned factors.
        min_sum: Use min-sum instead of sum-product.
        trace: Output: messages and beliefs before each iteration, float32 `[groups, iterations, incidences + mechanisms,
            LANES]`, for `backpropagate`; with zero groups nothing is stored.
        out: Output: refined beliefs, float32 `[shots, mechanisms]`, within ±`LLR_BOUND`.
    """
    shots, mechanisms = beliefs.shape
    detectors = len(tanner.start) - 1
    degree = len(tanner.downwards)
    # Allocated once: page faults of fresh memory for every group would cost a tenth of the run time.
    fired = np.empty((detectors, LANES), dtype=np.float32)
    prior = np.empty((mechanisms, LANES), dtype=np.float32)
    total = np.empty((mechanisms, LANES), dtype=np.float32)
    following = np.empty((mechanisms, LANES), dtype=np.float32)
    message = np.empty((len(tanner.mechanism), LANES), dtype=np.float32)
    work = np.empty((degree, BLOCKS_FORWARD), dtype=np.float32)
    run = np.empty(RUNS, dtype=np.float32)
    for begin in range(0, shots, LANES):
        end = min(begin + LANES, shots)
        load(syndromes[begin:end], beliefs[begin:end], weights.prior_scale[0], fired, prior)
        message[:] = ZERO
        total[:] = prior
        for iteration in range(len(weights.scale)):
            if len(trace):
                kept = trace[begin // LANES, iteration]
                kept[: len(message)] = message
                kept[len(message) :] = total
            following[:] = prior
            if len(weights.memory):
                remember(weights.memory, prior, total, following)
            scale = weights.scale[iteration]
            keep = weights.damping[iteration] if iteration else ZERO
            for detector in range(detectors):
                first = tanner.start[detector]
                n = tanner.start[detector + 1] - first
                run[SIGN : SIGN + LANES] = fired[detector]
                if min_sum:
                    gather_least(first, n, tanner.mechanism, total, message, work, run)
                    scatter_least(first, n, tanner.mechanism, scale, keep, message, following, work, run)
                else:
                    run[RUN : RUN + LANES] = ZERO
                    gather(first, n, tanner.mechanism, total, message, work, run)
                    run[RUN : RUN + LANES] = ZERO
                    down = tanner.downwards[degree - n :]
                    scatter(first, down, tanner.mechanism, scale, keep, message, following, work, run)
            total, following = following, total
        for lane in range(end - begin):
            row = out[begin + lane]
            for m in range(mechanisms):
                row[m] = min(max(total[m, lane], -BOUND), BOUND)
