"""Belief propagation by ldpc, one shot at a time: the methods and schedules that the package has no kernel for."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from autoqec.decoding.flipping import Flips
from autoqec.decoding.sum_product import Propagated
from autoqec.problem.problem import Problem

from .osd_config import BeliefPropagation

#: Beliefs of ldpc are bounded by this: its messages can be infinite.
_MOST = 1e4


class LdpcPropagation:
    """Runs ldpc's belief propagation; as `SumProduct`, but for any method and schedule.

    Args:
        problem: The problem.
        config: The fields of belief propagation.
    """

    def __init__(self, problem: Problem, config: BeliefPropagation) -> None:
        from ldpc.bp_decoder import BpDecoder

        self._ldpc: Any = BpDecoder(**config.for_ldpc(problem), input_vector_type="syndrome")
        self._problem = problem
        self._flips = Flips(problem)
        self._one_at_a_time = Lock()

    def run(self, syndromes: np.ndarray, *, beliefs: bool = False) -> Propagated:
        """Run on a batch; see `SumProduct.run`."""
        problem = self._problem
        observables = np.zeros((len(syndromes), problem.observable_bytes), dtype=np.uint8)
        explained = np.zeros(len(syndromes), dtype=np.bool_)
        last = []
        for shot, syndrome in enumerate(syndromes):
            fired, told = self._one(np.unpackbits(syndrome, count=problem.num_detectors, bitorder="little"))
            # A message can become NaN, and a hard decision on NaN can explain the syndrome by chance.
            right = np.array_equal(self._flips.of(fired), syndrome)
            explained[shot] = right and not np.isnan(told).any()
            if explained[shot]:
                observables[shot] = np.bitwise_xor.reduce(problem.mechanisms.observables[fired], axis=0)
            elif beliefs:
                last.append(self._finite(told))
        return Propagated(explained, observables, np.array(last, dtype=np.float32).reshape(-1, len(problem.mechanisms)))

    def _one(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mechanisms that fired in one shot, and the beliefs."""
        with self._one_at_a_time:  # what ldpc says of its last shot is of this thread's
            fired = np.flatnonzero(self._ldpc.decode(bits))
            return fired, np.array(self._ldpc.log_prob_ratios)

    def _finite(self, told: np.ndarray) -> np.ndarray:
        """Beliefs as ordered-statistics decoding takes them; where one is NaN nothing is known, so it is the prior."""
        told = np.where(np.isnan(told), self._problem.priors_llr, told)
        return np.clip(told, -_MOST, _MOST).astype(np.float32)
