"""Hard flips: applies the mechanisms that probably fired, then decodes the residual syndrome with the classical decoder.

The residual syndrome is sparser than the true one. Any correction of it, together with the flips, corrects the true one.
"""

from __future__ import annotations

from math import log

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder, Decoded
from autoqec.problem.problem import Problem


def syndromes_of_mechanisms(problem: Problem) -> np.ndarray:
    """Return the syndrome of each single mechanism, bit-packed little-endian, uint8 `[mechanisms, ceil(detectors / 8)]`."""
    mechanisms = problem.mechanisms
    bits = np.zeros((len(mechanisms), problem.num_detectors), dtype=np.uint8)
    owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
    bits[owner, mechanisms.detector] = 1
    return np.packbits(bits, axis=1, bitorder="little")


class HardFlip:
    """Applies likely mechanisms, then decodes the residual with the decoder's own static weights.

    Args:
        decoder: The classical decoder; it gets no beliefs.
        problem: The problem.
        threshold: Mechanisms with a larger posterior probability of having fired are applied; in (0, 1).
    """

    def __init__(self, decoder: CompiledDecoder, problem: Problem, threshold: float):
        self._decoder = decoder
        self._observables = problem.mechanisms.observables
        self._syndromes = syndromes_of_mechanisms(problem)
        self._border = log((1 - threshold) / threshold)

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """See `autoqec.decoding.decoder_contract.CompiledDecoder.decode`; without beliefs nothing is flipped."""
        if beliefs is None:
            return self._decoder.decode(syndromes)
        shots, applied = np.nonzero(beliefs < self._border)
        residual = syndromes.copy()
        np.bitwise_xor.at(residual, shots, self._syndromes[applied])
        decoded = self._decoder.decode(residual)
        observables = decoded.observables.copy()
        np.bitwise_xor.at(observables, shots, self._observables[applied])
        return Decoded(observables, decoded.invalid)
