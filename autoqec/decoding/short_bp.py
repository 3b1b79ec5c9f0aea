"""A few iterations of scaled sum-product belief propagation on a problem's own priors, as a step of a gate.

A shot is explained if the mechanisms that are likelier to have fired than not have exactly its syndrome. Shots are lanes of
vector instructions: each lane performs the same operations in the same order, so an answer does not depend on the batch. Most
shots are explained after a few iterations, so a lane whose shot is done is given the next one at once.
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

#: The factor on each message from a detector, which offsets the overcounting of loops (Chen and Fossorier 2002), and the share of
#: a mechanism's last belief in its bias, which calms oscillations between equivalent errors (Chen et al. 2022). On `bb72_depol`,
#: 16 iterations explain 94 % of the shots with these, and 78 % with the scale 0.9 and no memory.
SCALE = 0.8
MEMORY = 0.125

#: FLOPs of an iteration for each incidence of the Tanner graph, by the rules of `docs/candidates.md`: the messages as `neural_bp`
#: counts them, and the parity of the hard decisions; and for each mechanism.
_PER_INCIDENCE, _PER_MECHANISM = 54, 5

#: Shots in parallel; with half as many, the overhead of loops counts.
_LANES = 64
_ONE, _TWO = np.float32(1.0), np.float32(2.0)
_BOUND, _SMALLEST = np.float32(LLR_BOUND), np.float32(np.exp(-LLR_BOUND))

#: Beliefs are rounded to this part before they are decided, so that float noise of another machine changes no answer.
_STEPS = np.float32(1024.0)

# Few arrays in each loop and a table for counting down let the compiler vectorise (`neural_bp` says why): blocks of a check's
# scratch memory `work[input, block + lane]`, and of its running values `run[block + lane]`.
_OWN, _BEFORE, _BLOCKS = 0, _LANES, 2 * _LANES
_RUN, _SIGN, _RUNS = 0, _LANES, 2 * _LANES


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
        per_mechanism = _PER_MECHANISM * len(self._problem.mechanisms)
        return self._iterations * (_PER_INCIDENCE * len(self._mechanism) + per_mechanism)

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
            np.float32(MEMORY),
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
    """Gather the inputs of one detector as signed smaller probabilities, the running product before each, and the sign of all."""
    for k in range(degree):
        sums, mine, own = total[mechanism[first + k]], message[first + k], work[k]
        for lane in range(_LANES):
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
    scale: np.float32,
    message: np.ndarray,
    following: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Update the messages of one detector: the log-odds that an odd number of its other mechanisms fired."""
    for step in range(downwards.size):
        k = downwards[step]
        own, mine, sums = work[k], message[first + k], following[mechanism[first + k]]
        for lane in range(_LANES):
            before, after, q = own[_BEFORE + lane], run[_RUN + lane], own[_OWN + lane]
            odd = max(before + after * (_ONE - _TWO * before), _SMALLEST)
            run[_RUN + lane] = after + abs(q) * (_ONE - _TWO * after)
            updated = scale * np.copysign(log_positive((_ONE - odd) / odd), q * run[_SIGN + lane])
            mine[lane] = updated
            sums[lane] += updated


@_compiled
def _decide(
    total: np.ndarray,
    decided: np.ndarray,
    fired: np.ndarray,
    start: np.ndarray,
    mechanism: np.ndarray,
    parity: np.ndarray,
    right: np.ndarray,
) -> None:
    """Write the hard decisions (-1: fired, 1: not), and for each lane whether they have exactly its syndrome (1: yes, -1: no)."""
    for m in range(len(total)):
        sums, signs = total[m], decided[m]
        for lane in range(_LANES):
            # -0.0 did not fire: adding 0.0 makes it 0.0.
            signs[lane] = np.copysign(_ONE, np.rint(sums[lane] * _STEPS) + np.float32(0.0))
    right[:] = _ONE
    for detector in range(len(fired)):
        parity[:] = fired[detector]
        for place in range(start[detector], start[detector + 1]):
            signs = decided[mechanism[place]]
            for lane in range(_LANES):
                parity[lane] = parity[lane] * signs[lane]
        for lane in range(_LANES):
            right[lane] = min(right[lane], parity[lane])


@_compiled
def _begin(
    lane: int,
    syndrome: np.ndarray,
    priors: np.ndarray,
    fired: np.ndarray,
    total: np.ndarray,
    message: np.ndarray,
) -> None:
    """Give a shot to a lane, which has nothing left of the one before."""
    for detector in range(len(fired)):
        fired[detector, lane] = -_ONE if (syndrome[detector >> 3] >> (detector & 7)) & 1 else _ONE
    for m in range(len(priors)):
        total[m, lane] = priors[m]
    for place in range(len(message)):
        message[place, lane] = np.float32(0.0)


@_compiled
def _answer(lane: int, decided: np.ndarray, flips: np.ndarray, observables: np.ndarray) -> None:
    """Write the flips of a lane's hard decisions."""
    for m in range(len(decided)):
        if decided[m, lane] < 0:
            for byte in range(flips.shape[1]):
                observables[byte] ^= flips[m, byte]


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
    memory: np.float32,
    shots: np.ndarray,
    observables: np.ndarray,
) -> None:
    detectors, mechanisms = len(start) - 1, len(priors)
    fired = np.ones((detectors, _LANES), dtype=np.float32)
    total = np.zeros((mechanisms, _LANES), dtype=np.float32)
    following = np.empty((mechanisms, _LANES), dtype=np.float32)
    message = np.zeros((len(mechanism), _LANES), dtype=np.float32)
    degree = len(downwards)
    work = np.empty((degree, _BLOCKS), dtype=np.float32)
    run, parity = np.empty(_RUNS, dtype=np.float32), np.empty(_LANES, dtype=np.float32)
    decided = np.empty((mechanisms, _LANES), dtype=np.float32)
    right = np.empty(_LANES, dtype=np.float32)
    held = np.full(_LANES, -1, dtype=np.int64)  # the shot of each lane, -1 for none
    age = np.zeros(_LANES, dtype=np.int64)
    following_shot, busy = 0, 0
    while True:
        for lane in range(_LANES):
            if held[lane] < 0 and following_shot < len(syndromes):
                held[lane], age[lane] = following_shot, 0
                _begin(lane, syndromes[following_shot], priors, fired, total, message)
                following_shot += 1
                busy += 1
        if busy == 0:
            break
        for m in range(mechanisms):
            prior, last, bias = (_ONE - memory) * priors[m], total[m], following[m]
            for lane in range(_LANES):
                bias[lane] = prior + memory * last[lane]
        for detector in range(detectors):
            first = start[detector]
            n = start[detector + 1] - first
            run[_SIGN : _SIGN + _LANES] = fired[detector]
            run[_RUN : _RUN + _LANES] = np.float32(0.0)
            _gather(first, n, mechanism, total, message, work, run)
            run[_RUN : _RUN + _LANES] = np.float32(0.0)
            _scatter(first, downwards[degree - n :], mechanism, scale, message, following, work, run)
        total, following = following, total
        _decide(total, decided, fired, start, mechanism, parity, right)
        for lane in range(_LANES):
            if held[lane] < 0:
                continue
            age[lane] += 1
            if right[lane] > 0:
                shots[held[lane]] = True
                _answer(lane, decided, flips, observables[held[lane]])
            if right[lane] > 0 or age[lane] == iterations:
                held[lane] = -1
                busy -= 1
