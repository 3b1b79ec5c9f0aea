"""Batch decoding with decoders that take one shot at a time and return mechanisms."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from autoqec.decoding.decoder_contract import Decoded
from autoqec.decoding.flipping import Flips
from autoqec.problem.problem import Problem


class ByShot:
    """Decodes a batch one shot at a time, skipping empty syndromes, which need no correction.

    Args:
        problem: The problem.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._flips = Flips(problem)
        self._one_at_a_time = Lock()

    def decode(
        self,
        syndromes: np.ndarray,
        correct: Callable[[int, np.ndarray], np.ndarray],
        mechanisms: np.ndarray | None = None,
    ) -> Decoded:
        """Decode a batch.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            correct: Maps a shot's number and syndrome (uint8 `[detectors]`) to the mechanisms that fired, uint8
                `[mechanisms]`.
            mechanisms: Written if it is given: the mechanisms that fired, bool `[shots, mechanisms]`, false everywhere before.

        Returns:
            The flips of these mechanisms; a shot is invalid if they do not explain its syndrome.
        """
        problem = self._problem
        observables = np.zeros((len(syndromes), problem.observable_bytes), dtype=np.uint8)
        invalid = np.zeros(len(syndromes), dtype=bool)
        for shot in np.flatnonzero(syndromes.any(axis=1)):
            bits = np.unpackbits(syndromes[shot], count=problem.num_detectors, bitorder="little")
            fired = np.flatnonzero(correct(int(shot), bits))
            if mechanisms is not None:
                mechanisms[shot, fired] = True
            if np.array_equal(self._flips.of(fired), syndromes[shot]):
                observables[shot] = np.bitwise_xor.reduce(problem.mechanisms.observables[fired], axis=0)
            else:
                invalid[shot] = True
        return Decoded(observables, invalid)

    def decode_with_convergence(self, syndromes: np.ndarray, ldpc: Any) -> tuple[Decoded, np.ndarray, np.ndarray]:
        """Decode a batch with one of ldpc's decoders, and say where its belief propagation converged.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            ldpc: The decoder.

        Returns:
            The answers; float32 `[shots]`: 1 where belief propagation found the answer itself, else 0; and the numbers of the
            shots in which a message became NaN, whose answers mean nothing: a hard decision on NaN can explain the syndrome by
            chance. An empty syndrome needs no more than belief propagation, so it counts as 1.
        """
        sure = np.ones(len(syndromes), dtype=bool)
        lost: list[int] = []

        def correct(shot: int, bits: np.ndarray) -> np.ndarray:
            with self._one_at_a_time:  # what ldpc says of its last shot is of this thread's
                answer: np.ndarray = ldpc.decode(bits)
                sure[shot] = bool(ldpc.converge)
                if np.isnan(ldpc.log_prob_ratios).any():
                    lost.append(shot)
            return answer

        decoded = self.decode(syndromes, correct)
        return decoded, (sure & ~decoded.invalid).astype(np.float32), np.array(lost, dtype=np.int64)
