"""A few iterations of scaled sum-product belief propagation on a problem's own priors, as a step of a gate.

A shot is explained if the mechanisms that are likelier to have fired than not have exactly its syndrome. Shots are lanes of
vector instructions: each lane performs the same operations in the same order, so an answer does not depend on the batch.
Probabilities are stored as the smaller of p and 1 - p with a sign for the side, which is accurate at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from autoqec.decoding.array_checks import check_syndromes
from autoqec.decoding.vector_math import exp_negative, log_positive
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import Problem

#: The factor on each message from a detector, which offsets the overcounting of loops (Chen and Fossorier 2002).
SCALE = 0.9

#: FLOPs of an iteration for each incidence of the Tanner graph, by the rules of `docs/candidates.md`: the messages as `neural_bp`
#: counts them, and the parity of the hard decisions.
_PER_INCIDENCE = 54

_LANES = 64
_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_BOUND, _SMALLEST = np.float32(LLR_BOUND), np.float32(np.exp(-LLR_BOUND))

#: A mechanism is taken as fired below this: a belief of nearly 0, which float noise could turn, is taken as not fired.
_BORDER = np.float32(-0.5 / 1024)


@dataclass(frozen=True)
class Explained:
    """The shots whose hard decision explains their syndrome.

    Attributes:
        shots: Which, bool `[shots]`.
        observables: The flips of their decisions, bit-packed little-endian, uint8 `[shots, ceil(observables / 8)]`; zeros
            elsewhere.
    """

    shots: np.ndarray
    observables: np.ndarray


class ShortBP:
    """Belief propagation on the priors of one problem.

    Args:
        problem: The problem.
        iterations: At most so many; a shot is done at the first one that explains it.
    """

    def __init__(self, problem: Problem, iterations: int):
        self._problem, self._iterations = problem, iterations
        mechanisms = problem.mechanisms
        owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
        order = np.lexsort((owner, mechanisms.detector))
        degrees = np.bincount(mechanisms.detector, minlength=problem.num_detectors)
        self._start = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int32)
        self._mechanism = owner[order].astype(np.int32)
        self._downwards = np.arange(degrees.max() - 1, -1, -1, dtype=np.int32)

    @property
    def flops_per_shot(self) -> int:
        """FLOPs of all iterations, by formula: a shot that is explained early counts as one that is not."""
        return self._iterations * (_PER_INCIDENCE * len(self._mechanism) + 2 * len(self._problem.mechanisms))

    def explain(self, syndromes: np.ndarray) -> Explained:
        """Look for explanations.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.

        Raises:
            UsageError: A shape or dtype is wrong.
        """
        syndromes = check_syndromes(self._problem, syndromes)
        shots = np.zeros(len(syndromes), dtype=np.bool_)
        observables = np.zeros((len(syndromes), self._problem.observable_bytes), dtype=np.uint8)
        _explain(
            syndromes,
            np.ascontiguousarray(self._problem.priors_llr),
            self._start,
            self._mechanism,
            self._downwards,
            np.ascontiguousarray(self._problem.mechanisms.observables),
            self._iterations,
            np.float32(SCALE),
            shots,
            observables,
        )
        return Explained(shots, observables)


_compiled = njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")


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
    """Gather the inputs of one detector as signed smaller probabilities, the running product before each, and the sign."""
    for k in range(degree):
        sums, mine, own = total[mechanism[first + k]], message[first + k], work[k]
        for lane in range(_LANES):
            x = min(max(sums[lane] - mine[lane], -_BOUND), _BOUND)
            e = exp_negative(-abs(x))
            q = e / (_ONE + e)
            before = run[lane]
            own[lane] = np.copysign(q, x)
            own[_LANES + lane] = before
            run[lane] = before + q * (_ONE - _TWO * before)
            run[_LANES + lane] = run[_LANES + lane] * np.copysign(_ONE, x)


@_compiled
def _scatter(
    first: int,
    downwards: np.ndarray,
    mechanism: np.ndarray,
    scale: np.float32,
    message: np.ndarray,
    following: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Compute the messages of one detector: the log-odds that an odd number of its other mechanisms fired."""
    for step in range(downwards.size):  # a loop that counts down would not be vectorised
        k = downwards[step]
        own, mine, sums = work[k], message[first + k], following[mechanism[first + k]]
        for lane in range(_LANES):
            before, after, q = own[_LANES + lane], run[lane], own[lane]
            odd = max(before + after * (_ONE - _TWO * before), _SMALLEST)
            run[lane] = after + abs(q) * (_ONE - _TWO * after)
            updated = scale * np.copysign(log_positive((_ONE - odd) / odd), q * run[_LANES + lane])
            mine[lane] = updated
            sums[lane] += updated


@_compiled
def _decide(
    total: np.ndarray,
    fired: np.ndarray,
    start: np.ndarray,
    mechanism: np.ndarray,
    parity: np.ndarray,
    right: np.ndarray,
) -> None:
    """Say in which lanes the hard decisions have exactly the syndrome: where `right` is 1 and not -1."""
    right[:] = _ONE
    for detector in range(len(fired)):
        parity[:] = fired[detector]
        for place in range(start[detector], start[detector + 1]):
            sums = total[mechanism[place]]
            for lane in range(_LANES):
                parity[lane] = -parity[lane] if sums[lane] < _BORDER else parity[lane]
        for lane in range(_LANES):
            right[lane] = min(right[lane], parity[lane])


@_compiled
def _explain(
    syndromes: np.ndarray,
    priors: np.ndarray,
    start: np.ndarray,
    mechanism: np.ndarray,
    downwards: np.ndarray,
    flips: np.ndarray,
    iterations: int,
    scale: np.float32,
    shots: np.ndarray,
    observables: np.ndarray,
) -> None:
    detectors, mechanisms, degree = len(start) - 1, len(priors), len(downwards)
    fired = np.empty((detectors, _LANES), dtype=np.float32)
    total = np.empty((mechanisms, _LANES), dtype=np.float32)
    following = np.empty((mechanisms, _LANES), dtype=np.float32)
    message = np.empty((len(mechanism), _LANES), dtype=np.float32)
    work, run = np.empty((degree, 2 * _LANES), dtype=np.float32), np.empty(2 * _LANES, dtype=np.float32)
    parity, right = np.empty(_LANES, dtype=np.float32), np.empty(_LANES, dtype=np.float32)
    for begin in range(0, len(syndromes), _LANES):
        here = min(_LANES, len(syndromes) - begin)
        fired[:] = _ONE
        for lane in range(here):
            for detector in range(detectors):
                if (syndromes[begin + lane, detector >> 3] >> (detector & 7)) & 1:
                    fired[detector, lane] = -_ONE
        message[:] = _ZERO
        for m in range(mechanisms):
            total[m] = priors[m]
        left = here
        for _ in range(iterations):
            for m in range(mechanisms):
                following[m] = priors[m]
            for detector in range(detectors):
                first = start[detector]
                n = start[detector + 1] - first
                run[:_LANES] = _ZERO
                run[_LANES:] = fired[detector]
                _gather(first, n, mechanism, total, message, work, run)
                run[:_LANES] = _ZERO
                _scatter(first, downwards[degree - n :], mechanism, scale, message, following, work, run)
            total, following = following, total
            _decide(total, fired, start, mechanism, parity, right)
            for lane in range(here):
                if right[lane] < 0 or shots[begin + lane]:
                    continue
                shots[begin + lane] = True
                left -= 1
                for m in range(mechanisms):
                    if total[m, lane] < _BORDER:
                        for byte in range(flips.shape[1]):
                            observables[begin + lane, byte] ^= flips[m, byte]
            if left == 0:
                break
