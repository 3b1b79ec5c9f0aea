"""What a decoder is: compiled once for a problem, then given batches of bit-packed syndromes and, perhaps, beliefs.

This is the only thing scoring knows about decoders; the decoders themselves are plugins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from autoqec.problem.problem import Problem


@dataclass(frozen=True)
class Decoded:
    """What a decoder says of a batch of shots.

    Attributes:
        observables: Predicted logical flips, bit-packed little-endian, uint8 `[shots, ceil(observables / 8)]`.
        invalid: Shots without a valid answer, bool `[shots]`: they count as failures and are never dropped.
    """

    observables: np.ndarray
    invalid: np.ndarray

    def failures(self, truth: np.ndarray) -> np.ndarray:
        """Shots where any observable is wrong or no valid answer was given, bool `[shots]`.

        Args:
            truth: True logical flips, packed as `observables`.
        """
        return self.invalid | (self.observables != truth).any(axis=1)


@runtime_checkable
class CompiledDecoder(Protocol):
    """A decoder ready for one problem."""

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """Decode a batch.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.
            beliefs: Log-likelihood ratios per mechanism (positive: did not fire), float32 `[shots, mechanisms]`, finite;
                None for the problem's own priors.

        Raises:
            AutoQECError: Beliefs are given to a decoder that takes none, or a shape or dtype is wrong.
        """
        ...


@runtime_checkable
class TeachingDecoder(CompiledDecoder, Protocol):
    """A decoder that can say in which direction beliefs should move for it to decode right."""

    def logical_gap_loss(
        self, syndromes: np.ndarray, beliefs: np.ndarray, observables: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cross-entropy of the true logical class under the decoder's complementary gap, and its gradient.

        For each observable the gap is the weight of the best explanation in the wrong class less that in the right one
        (Gidney, Newman, Brooks and Jones, Nat. Commun. 16, 4498); the loss is the sum of `log(1 + exp(-gap))`.

        Args:
            syndromes: As for `decode`.
            beliefs: As for `decode`.
            observables: True logical flips, bit-packed little-endian, uint8 `[shots, ceil(observables / 8)]`.

        Returns:
            Loss in nats, float32 `[shots]`, 0 for a shot whose gap cannot be found; and its derivative by each belief,
            float32 `[shots, mechanisms]`.
        """
        ...


@runtime_checkable
class Decoder(Protocol):
    """A decoder as an environment names it, before it knows the problem. Must be cheap to create."""

    @property
    def takes_beliefs(self) -> bool:
        """Whether `decode` honours per-shot beliefs."""
        ...

    def compile(self, problem: Problem) -> CompiledDecoder:
        """Prepare for one problem.

        Raises:
            UsageError: The decoder cannot decode this problem; the message says why and names one that can.
        """
        ...
