"""Hard flips: applies the mechanisms that probably fired, then decodes the residual syndrome with the classical decoder.

The residual syndrome is sparser than the true one. Any correction of it, together with the flips, corrects the true one.
"""

from __future__ import annotations

from math import log

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder, Decoded, Solutions, SolvingDecoder
from autoqec.problem.problem import Problem

#: Spreads the numbers of mechanisms over 64 bits.
_ODD = np.uint64(0x9E3779B97F4A7C15)


def syndromes_of_mechanisms(problem: Problem) -> np.ndarray:
    """Return the syndrome of each single mechanism, bit-packed little-endian, uint8 `[mechanisms, ceil(detectors / 8)]`.

    It is for elimination, which needs whole columns: at distance 21 it takes 220 MB. `Flips` needs no more than the graph.
    """
    mechanisms = problem.mechanisms
    packed = np.zeros((len(mechanisms), problem.syndrome_bytes), dtype=np.uint8)
    owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
    byte, bit = np.divmod(mechanisms.detector, 8)
    np.add.at(packed, (owner, byte), (1 << bit).astype(np.uint8))  # no detector occurs twice in a mechanism
    return packed


class Flips:
    """What sets of mechanisms flip, found along the Tanner graph.

    Args:
        problem: The problem.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._start = problem.mechanisms.start.astype(np.int64)

    def toggle(self, syndromes: np.ndarray, shots: np.ndarray, mechanisms: np.ndarray) -> None:
        """Toggle what some mechanisms flip in some shots.

        Args:
            syndromes: Changed, bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            shots: Of each pair, the shot.
            mechanisms: Of each pair, the mechanism.
        """
        begin = self._start[mechanisms]
        sizes = self._start[mechanisms + 1] - begin
        before = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) + np.repeat(begin - before, sizes)
        byte, bit = np.divmod(self._problem.mechanisms.detector[places], 8)
        np.bitwise_xor.at(syndromes, (np.repeat(shots, sizes), byte), (1 << bit).astype(np.uint8))

    def of(self, mechanisms: np.ndarray) -> np.ndarray:
        """The syndrome of some mechanisms together, bit-packed, uint8 `[ceil(detectors / 8)]`."""
        syndrome = np.zeros((1, self._problem.syndrome_bytes), dtype=np.uint8)
        self.toggle(syndrome, np.zeros(len(mechanisms), dtype=np.int64), mechanisms)
        return np.asarray(syndrome[0])


class HardFlip:
    """Applies likely mechanisms, then decodes the residual with the decoder's own static weights.

    Args:
        decoder: The classical decoder; it gets no beliefs.
        problem: The problem.
        threshold: Mechanisms with a larger posterior probability of having fired are applied; in (0, 1).
    """

    def __init__(self, decoder: CompiledDecoder, problem: Problem, threshold: float):
        self._decoder, self._priors = decoder, problem.priors_llr
        self._observables = problem.mechanisms.observables
        self._flips = Flips(problem)
        self._border = log((1 - threshold) / threshold)

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """See `autoqec.decoding.decoder_contract.CompiledDecoder.decode`; without beliefs nothing is flipped."""
        if beliefs is None:
            return self._decoder.decode(syndromes)
        shots, applied, residual = self._applied(syndromes, beliefs)
        decoded = self._decoder.decode(residual)
        observables = decoded.observables.copy()
        np.bitwise_xor.at(observables, shots, self._observables[applied])
        return Decoded(observables, decoded.invalid)

    def _applied(self, syndromes: np.ndarray, beliefs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mechanisms that are applied, as pairs of a shot and a mechanism, and the residual syndromes."""
        shots, applied = np.nonzero(beliefs < self._border)
        residual = syndromes.copy()
        self._flips.toggle(residual, shots, applied)
        return shots, applied, residual


class SolvingHardFlip(HardFlip):
    """As `HardFlip`, in front of a decoder that offers solutions: it solves the residual in every class."""

    def __init__(self, decoder: SolvingDecoder, problem: Problem, threshold: float):
        super().__init__(decoder, problem, threshold)
        self._solver = decoder

    def solutions(self, syndromes: np.ndarray, beliefs: np.ndarray) -> Solutions:
        """See `autoqec.decoding.decoder_contract.SolvingDecoder.solutions`.

        A solution is the applied mechanisms and one of the residual. It weighs what both do, more than it need where they
        cancel; two ways to split one solution into these parts count as two solutions.
        """
        shots, applied, residual = self._applied(syndromes, beliefs)
        found = self._solver.solutions(residual, np.repeat(self._priors[None], len(syndromes), axis=0))
        observables, weights, names = found.observables.copy(), found.weights.copy(), found.names.copy()
        np.bitwise_xor.at(observables, shots, self._observables[applied][:, None, :])
        np.add.at(weights, shots, self._priors[applied][:, None])
        mixed = (applied.astype(np.uint64) + np.uint64(1)) * _ODD
        np.add.at(names, shots, (mixed ^ (mixed >> np.uint64(29)))[:, None])
        return Solutions(observables, weights, found.believed, names)


def hard_flip(decoder: CompiledDecoder, problem: Problem, threshold: float) -> HardFlip:
    """`HardFlip`, with solutions where the decoder has them."""
    if isinstance(decoder, SolvingDecoder):
        return SolvingHardFlip(decoder, problem, threshold)
    return HardFlip(decoder, problem, threshold)
