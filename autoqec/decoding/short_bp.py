"""A few iterations of scaled sum-product belief propagation with memory on a problem's own priors, as a step of a gate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoqec.decoding.sum_product import SumProduct
from autoqec.problem.problem import Problem

#: The factor on each message from a detector, which offsets the overcounting of loops (Chen and Fossorier 2002).
SCALE = 0.8

#: The share of the last belief in the bias of the next iteration (as in Relay-BP, arXiv:2506.01779): it damps oscillations.
#: On bb72_depol 16 iterations explain 93 % of the shots with it, and 77 % without. A larger share explains more shots, but
#: more of them wrongly: 0.6 % of all shots with 0.125 and 0.9 % with 0.25, which no predecoder behind the gate can mend
#: (`benchmarks/short_bp.py`).
MEMORY = 0.125

#: FLOPs of an iteration for each incidence of the Tanner graph, by the rules of `docs/candidates.md`: the messages as `neural_bp`
#: counts them, and the parity of the hard decisions.
_PER_INCIDENCE = 54


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
        self._propagation = SumProduct(problem, iterations, SCALE, MEMORY)

    @property
    def flops_per_shot(self) -> int:
        """FLOPs of all iterations, by formula: a shot that is explained early counts as one that is not."""
        mechanisms = self._problem.mechanisms
        return self._iterations * (_PER_INCIDENCE * len(mechanisms.detector) + 5 * len(mechanisms))

    def explain(self, syndromes: np.ndarray) -> Explained:
        """Look for explanations.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.

        Raises:
            UsageError: A shape or dtype is wrong.
        """
        found = self._propagation.run(syndromes)
        return Explained(found.explained, found.observables)
