"""Batch decoding with decoders that take one shot at a time and return mechanisms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from autoqec.decoding.decoder_contract import Decoded
from autoqec.decoding.flipping import syndromes_of_mechanisms
from autoqec.problem.problem import Problem


class ByShot:
    """Decodes a batch one shot at a time, skipping empty syndromes, which need no correction.

    Args:
        problem: The problem.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._syndromes = syndromes_of_mechanisms(problem)

    def decode(self, syndromes: np.ndarray, correct: Callable[[int, np.ndarray], np.ndarray]) -> Decoded:
        """Decode a batch.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            correct: Maps a shot's number and syndrome (uint8 `[detectors]`) to the mechanisms that fired, uint8
                `[mechanisms]`.

        Returns:
            The flips of these mechanisms; a shot is invalid if they do not explain its syndrome.
        """
        problem = self._problem
        observables = np.zeros((len(syndromes), problem.observable_bytes), dtype=np.uint8)
        invalid = np.zeros(len(syndromes), dtype=bool)
        for shot in np.flatnonzero(syndromes.any(axis=1)):
            bits = np.unpackbits(syndromes[shot], count=problem.num_detectors, bitorder="little")
            fired = np.flatnonzero(correct(int(shot), bits))
            explained = np.bitwise_xor.reduce(self._syndromes[fired], axis=0)
            if np.array_equal(explained, syndromes[shot]):
                observables[shot] = np.bitwise_xor.reduce(problem.mechanisms.observables[fired], axis=0)
            else:
                invalid[shot] = True
        return Decoded(observables, invalid)
