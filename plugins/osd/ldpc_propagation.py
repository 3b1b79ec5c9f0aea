"""Belief propagation by ldpc, one shot at a time: the methods and schedules that the package has no kernel for."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from autoqec.decoding.flipping import Flips
from autoqec.decoding.sum_product import Propagated, SumProduct
from autoqec.problem.problem import Problem

from .osd_config import BeliefPropagation

#: Beliefs of ldpc are bounded by this: its messages can be infinite.
_MOST = 1e4


class LdpcPropagation:
    """Runs ldpc's belief propagation; as `SumProduct`, but for any method and schedule.

    Args:
        problem: The problem.
        config: The fields of belief propagation.

    Attributes:
        not_a_number: Shots so far in which a message became NaN.
    """

    def __init__(self, problem: Problem, config: BeliefPropagation) -> None:
        from ldpc.bp_decoder import BpDecoder

        self._ldpc: Any = BpDecoder(**config.for_ldpc(problem), input_vector_type="syndrome")
        self._problem = problem
        self._flips = Flips(problem)
        self._bounded = SumProduct(problem, config.bp_iterations)
        self._one_at_a_time = Lock()
        self.not_a_number = 0

    def run(self, syndromes: np.ndarray, *, beliefs: bool = False) -> Propagated:
        """Run on a batch; see `SumProduct.run`.

        A message of ldpc's can become NaN, and a hard decision on NaN can explain the syndrome by chance. Such a shot starts
        again with `SumProduct`, whose messages are bounded, for as many iterations.
        """
        problem = self._problem
        observables = np.zeros((len(syndromes), problem.observable_bytes), dtype=np.uint8)
        explained = np.zeros(len(syndromes), dtype=np.bool_)
        told = np.zeros((len(syndromes) if beliefs else 0, len(problem.mechanisms)), dtype=np.float32)
        again = []
        for shot, syndrome in enumerate(syndromes):
            fired, last = self._one(np.unpackbits(syndrome, count=problem.num_detectors, bitorder="little"))
            if np.isnan(last).any():
                again.append(shot)
                continue
            explained[shot] = np.array_equal(self._flips.of(fired), syndrome)
            if explained[shot]:
                observables[shot] = np.bitwise_xor.reduce(problem.mechanisms.observables[fired], axis=0)
            elif beliefs:
                told[shot] = np.clip(last, -_MOST, _MOST)
        if again:
            found = self._bounded.mechanisms(np.ascontiguousarray(syndromes[again]))
            explained[again], observables[again] = found.explained, found.observables
            if beliefs:
                told[again] = found.beliefs
            with self._one_at_a_time:
                self.not_a_number += len(again)
        return Propagated(explained, observables, told[~explained] if beliefs else told)

    def _one(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mechanisms that fired in one shot, and the beliefs."""
        with self._one_at_a_time:  # what ldpc says of its last shot is of this thread's
            fired = np.flatnonzero(self._ldpc.decode(bits))
            return fired, np.array(self._ldpc.log_prob_ratios)
