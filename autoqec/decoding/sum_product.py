"""Sum-product belief propagation with a problem's own priors, many shots at a time.

A shot is explained if the mechanisms that are likelier to have fired than not have exactly its syndrome. Shots are lanes of
vector instructions: each lane performs the same operations in the same order, so an answer does not depend on the batch.
Probabilities are stored as the smaller of p and 1 - p with a sign for the side, which is accurate at both ends, and messages
are bounded, so none becomes infinite or NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from autoqec.compiled_once import compiled_once
from autoqec.decoding.array_checks import check_syndromes
from autoqec.decoding.lanes import LANES, ONE, TWO, compiled, gather
from autoqec.decoding.vector_math import log_positive
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import Problem

#: Lanes that must be free before new shots are loaded. To load one costs as much as an iteration, and eight hardly more.
_REFILL = 8

_ZERO, _SMALLEST = np.float32(0.0), np.float32(np.exp(-LLR_BOUND))

#: A mechanism is taken as fired below this: a belief of nearly 0, which float noise could turn, is taken as not fired.
_BORDER = np.float32(-0.5 / 1024)


@dataclass(frozen=True)
class Propagated:
    """What belief propagation found.

    Attributes:
        explained: The shots whose hard decision explains their syndrome, bool `[shots]`.
        observables: The flips of their decisions, bit-packed little-endian, uint8 `[shots, ceil(observables / 8)]`; zeros
            elsewhere.
        beliefs: Of the other shots, in their order, the log-likelihood ratios after the last iteration, finite float32
            `[others, mechanisms]`; `[0, mechanisms]` if they were not asked for. From `mechanisms`: of all shots.
    """

    explained: np.ndarray
    observables: np.ndarray
    beliefs: np.ndarray


class SumProduct:
    """Belief propagation on the priors of one problem, all messages at once in each iteration.

    Args:
        problem: The problem.
        iterations: At most so many; a shot is done at the first one that explains it.
        scale: The factor on each message from a detector.
        memory: The share of the last belief in the bias of the next iteration.
    """

    def __init__(self, problem: Problem, iterations: int, scale: float = 1.0, memory: float = 0.0):
        self._problem, self._iterations = problem, iterations
        self._scale, self._memory = np.float32(scale), np.float32(memory)
        mechanisms = problem.mechanisms
        owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
        order = np.lexsort((owner, mechanisms.detector))
        degrees = np.bincount(mechanisms.detector, minlength=problem.num_detectors)
        self._start = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int32)
        self._mechanism = owner[order].astype(np.int32)
        self._downwards = np.arange(degrees.max(initial=0) - 1, -1, -1, dtype=np.int32)

    def mechanisms(self, syndromes: np.ndarray) -> Propagated:
        """As `run`, with the beliefs of all shots: for `decisions`. A shot that is explained has those that explain it.

        Args:
            syndromes: As for `run`.
        """
        return self._run(syndromes, np.empty((len(syndromes), len(self._problem.mechanisms)), dtype=np.float32), True)

    def run(self, syndromes: np.ndarray, *, beliefs: bool = False) -> Propagated:
        """Run on a batch.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.
            beliefs: Whether to return those of the shots that are not explained.

        Raises:
            UsageError: A shape or dtype is wrong.
        """
        # Memory for a shot is touched only if it is not explained.
        rows = len(syndromes) if beliefs else 0
        found = self._run(syndromes, np.empty((rows, len(self._problem.mechanisms)), dtype=np.float32), False)
        return replace(found, beliefs=found.beliefs[~found.explained]) if beliefs else found

    def _run(self, syndromes: np.ndarray, last: np.ndarray, every: bool) -> Propagated:
        syndromes = check_syndromes(self._problem, syndromes)
        explained = np.zeros(len(syndromes), dtype=np.bool_)
        observables = np.zeros((len(syndromes), self._problem.observable_bytes), dtype=np.uint8)
        _propagate(
            syndromes,
            np.ascontiguousarray(self._problem.priors_llr),
            self._start,
            self._mechanism,
            self._downwards,
            np.ascontiguousarray(self._problem.mechanisms.observables),
            self._iterations,
            self._scale,
            self._memory,
            explained,
            observables,
            last,
            every,
        )
        return Propagated(explained, observables, last)


def decisions(beliefs: np.ndarray) -> np.ndarray:
    """The mechanisms that are likelier to have fired than not, bool, of the shape of the beliefs."""
    return np.asarray(beliefs < _BORDER)


@compiled
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
        for lane in range(LANES):
            before, after, q = own[LANES + lane], run[lane], own[lane]
            odd = max(before + after * (ONE - TWO * before), _SMALLEST)
            run[lane] = after + abs(q) * (ONE - TWO * after)
            updated = scale * np.copysign(log_positive((ONE - odd) / odd), q * run[LANES + lane])
            mine[lane] = updated
            sums[lane] += updated


@compiled
def _iterate(
    priors: np.ndarray,
    start: np.ndarray,
    mechanism: np.ndarray,
    downwards: np.ndarray,
    scale: np.float32,
    memory: np.float32,
    fired: np.ndarray,
    total: np.ndarray,
    following: np.ndarray,
    message: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """One iteration of all lanes: from the beliefs `total` to the beliefs `following`."""
    for m in range(len(priors)):
        prior, last, bias = priors[m], total[m], following[m]
        for lane in range(LANES):
            bias[lane] = prior + memory * (last[lane] - prior)
    for detector in range(len(fired)):
        first = start[detector]
        degree = start[detector + 1] - first
        run[:LANES] = _ZERO
        run[LANES:] = fired[detector]
        gather(first, degree, mechanism, total, message, work, run)
        run[:LANES] = _ZERO
        down = downwards[len(downwards) - degree :]
        _scatter(first, down, mechanism, scale, message, following, work, run)


@compiled
def _decide(
    total: np.ndarray,
    fired: np.ndarray,
    start: np.ndarray,
    mechanism: np.ndarray,
    hard: np.ndarray,
    parity: np.ndarray,
    right: np.ndarray,
) -> None:
    """Write the hard decisions, -1 where a mechanism fired, and in which lanes they have exactly the syndrome."""
    for m in range(len(total)):
        sums, decided = total[m], hard[m]
        for lane in range(LANES):
            decided[lane] = -ONE if sums[lane] < _BORDER else ONE
    right[:] = ONE
    for detector in range(len(fired)):
        parity[:] = fired[detector]
        for place in range(start[detector], start[detector + 1]):
            decided = hard[mechanism[place]]
            for lane in range(LANES):
                parity[lane] = parity[lane] * decided[lane]
        for lane in range(LANES):
            right[lane] = min(right[lane], parity[lane])


@compiled
def _load(
    syndromes: np.ndarray,
    new: np.ndarray,
    count: int,
    owner: np.ndarray,
    priors: np.ndarray,
    fired: np.ndarray,
    total: np.ndarray,
    message: np.ndarray,
) -> None:
    """Put the shots that own the first `count` lanes of `new` into them."""
    for m in range(len(priors)):
        for place in range(count):
            total[m, new[place]] = priors[m]
    for incidence in range(len(message)):
        for place in range(count):
            message[incidence, new[place]] = _ZERO
    for place in range(count):
        syndrome = syndromes[owner[new[place]]]
        for detector in range(len(fired)):
            fires = (syndrome[detector >> 3] >> (detector & 7)) & 1
            fired[detector, new[place]] = -ONE if fires else ONE


@compiled_once("belief propagation", 7)
@compiled
def _propagate(
    syndromes: np.ndarray,
    priors: np.ndarray,
    start: np.ndarray,
    mechanism: np.ndarray,
    downwards: np.ndarray,
    flips: np.ndarray,
    iterations: int,
    scale: np.float32,
    memory: np.float32,
    explained: np.ndarray,
    observables: np.ndarray,
    beliefs: np.ndarray,
    every: bool,
) -> None:
    detectors, mechanisms, degree = len(start) - 1, len(priors), len(downwards)
    fired = np.ones((detectors, LANES), dtype=np.float32)
    total = np.zeros((mechanisms, LANES), dtype=np.float32)
    following = np.empty((mechanisms, LANES), dtype=np.float32)
    hard = np.empty((mechanisms, LANES), dtype=np.float32)
    message = np.zeros((len(mechanism), LANES), dtype=np.float32)
    work = np.empty((degree, 2 * LANES), dtype=np.float32)
    run = np.empty(2 * LANES, dtype=np.float32)
    parity, right = np.empty(LANES, dtype=np.float32), np.empty(LANES, dtype=np.float32)
    # A lane works on one shot until it is explained or has had its iterations; then it gets another.
    owner = np.full(LANES, -1, dtype=np.int64)
    age = np.zeros(LANES, dtype=np.int64)
    new = np.empty(LANES, dtype=np.int64)
    ahead, busy = 0, 0
    while ahead < len(syndromes) or busy > 0:
        if ahead < len(syndromes) and LANES - busy >= _REFILL:
            count = 0
            for lane in range(LANES):
                if owner[lane] < 0 and ahead < len(syndromes):
                    owner[lane], age[lane], new[count] = ahead, 0, lane
                    count += 1
                    ahead += 1
            busy += count
            _load(syndromes, new, count, owner, priors, fired, total, message)
        _iterate(priors, start, mechanism, downwards, scale, memory, fired, total, following, message, work, run)
        total, following = following, total
        _decide(total, fired, start, mechanism, hard, parity, right)
        for lane in range(LANES):
            shot = owner[lane]
            if shot < 0:
                continue
            age[lane] += 1
            if right[lane] > 0:
                explained[shot] = True
                for m in range(mechanisms):
                    if hard[m, lane] < 0:
                        for byte in range(flips.shape[1]):
                            observables[shot, byte] ^= flips[m, byte]
            if right[lane] > 0 or age[lane] == iterations:
                if len(beliefs) > 0 and (every or right[lane] <= 0):
                    for m in range(mechanisms):
                        beliefs[shot, m] = total[m, lane]
                owner[lane] = -1
                busy -= 1
