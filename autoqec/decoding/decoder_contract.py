"""The interface of decoder plugins: compiled once for a problem, then called with bit-packed syndromes and optional beliefs.

Scoring knows decoders only through this interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from autoqec.problem.problem import Problem


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoder's result for a batch of shots. It is no array: what compares it with one is stopped by an error.

    Attributes:
        observables: Predicted logical flips, bit-packed little-endian, uint8 `[shots, ceil(observables / 8)]`.
        invalid: Shots without a valid result, bool `[shots]`; they count as failures and are never dropped.
    """

    observables: np.ndarray
    invalid: np.ndarray

    #: numpy leaves operators to this class; its own answer would be an array in which every element differs.
    __array_ufunc__: ClassVar[None] = None

    def __eq__(self, other: object) -> bool:
        raise TypeError("Decoded holds arrays: compare its `observables`, or ask `failures(truth)`")

    __hash__ = None  # type: ignore[assignment]

    def failures(self, truth: np.ndarray) -> np.ndarray:
        """Return the shots with a wrong observable or without a valid result, bool `[shots]`.

        Args:
            truth: True logical flips, packed as `observables`.
        """
        return self.invalid | (self.observables != truth).any(axis=1)


@runtime_checkable
class CompiledDecoder(Protocol):
    """A decoder compiled for one problem."""

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """Decode a batch.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.
            beliefs: Log-likelihood ratios per mechanism (positive: did not fire), float32 `[shots, mechanisms]`, finite;
                None for the problem's own priors.

        Raises:
            AutoQECError: The decoder does not take beliefs, or a shape or dtype is wrong.
        """
        ...


@runtime_checkable
class ConfidentDecoder(CompiledDecoder, Protocol):
    """A decoder that can say how sure it is of the answers it gives without beliefs.

    Attributes:
        confidence_kind: What the number means. `gap`: the complementary gap in nats, the weight of the lightest solution in
            any other logical class less that of the plain answer's (Gidney, Newman, Brooks and Jones, Nat. Commun. 16, 4498).
            `converged`: 1 where belief propagation converged, else 0. Other decoders have a word of their own.
    """

    confidence_kind: str

    def confidence(self, syndromes: np.ndarray, at_most: float = inf) -> np.ndarray:
        """Compute how sure the decoder is of each plain answer, `decode(syndromes)`. It does not depend on the batch.

        Training calls this from several threads at the same time.

        Args:
            syndromes: As for `decode`.
            at_most: The largest value that matters. A value above it may be any number above it, so the decoder need
                search no further.

        Returns:
            float32 `[shots]`: larger is surer; 0 for a shot without a valid answer, infinity where no other class can be
            reached, never NaN.
        """
        ...

    def decode_with_confidence(self, syndromes: np.ndarray, at_most: float = inf) -> tuple[Decoded, np.ndarray]:
        """Return `decode(syndromes)` and `confidence(syndromes, at_most)` for the cost of one pass."""
        ...


@runtime_checkable
class SharingDecoder(ConfidentDecoder, Protocol):
    """A decoder whose first part, which finds the answers that it is sure of, other decoders may share."""

    def same_where_sure(self, other: CompiledDecoder) -> bool:
        """Whether another decoder gives exactly this one's plain answers wherever this one's confidence is above 0."""
        ...

    def decode_and_share(self, syndromes: np.ndarray) -> tuple[Decoded, np.ndarray, np.ndarray]:
        """Return `decode_with_confidence(syndromes)`, and what the first part leaves of each shot that it is not sure of.

        The last is an array with a row for each shot of confidence 0, in their order, which `decode_unsure` understands, also
        that of any other `SharingDecoder` for which `same_where_sure` holds.
        """
        ...

    def decode_unsure(self, syndromes: np.ndarray, left: np.ndarray) -> Decoded:
        """Return `decode(syndromes)` without running the first part, from what it left of these shots."""
        ...


@dataclass(frozen=True)
class Solutions:
    """Solutions that a decoder found for some shots, one in each logical class that it can tell apart.

    Attributes:
        observables: What each flips, bit-packed little-endian, uint8 `[shots, classes, ceil(observables / 8)]`.
        weights: Of each by the problem's priors: the sum of the log-likelihood ratios of the mechanisms that it is made of, in
            nats, float32 `[shots, classes]`; infinity where no solution was found.
        believed: Of each by the beliefs, in nats, above a constant of the shot's own, float32 `[shots, classes]`; 0 where a
            decoder has a single class.
        names: A hash of each solution, uint64 `[shots, classes]`: equal solutions have equal names.
    """

    observables: np.ndarray
    weights: np.ndarray
    believed: np.ndarray
    names: np.ndarray


@runtime_checkable
class SolvingDecoder(CompiledDecoder, Protocol):
    """A decoder whose solutions for several beliefs about a shot can be compared (`autoqec.decoding.ensemble`)."""

    def solutions(self, syndromes: np.ndarray, beliefs: np.ndarray) -> Solutions:
        """Find the likeliest solution in each class.

        Args:
            syndromes, beliefs: As for `decode`.

        Returns:
            The solutions. A shot does not depend on its batch. A shot of which all weights are infinite is left to `decode`.

        Raises:
            AutoQECError: A shape or dtype is wrong.
        """
        ...


def not_a_number(decoder: CompiledDecoder) -> int:
    """Shots so far in which a library's belief propagation became NaN, and which the decoder decoded in another way.

    A decoder that works with a library which can return NaN counts them in an attribute of this name.
    """
    return int(getattr(decoder, "not_a_number", 0))


def confidence_kind(decoder: CompiledDecoder) -> str | None:
    """The confidence that a decoder offers; None if it offers none."""
    return decoder.confidence_kind if isinstance(decoder, ConfidentDecoder) else None


@runtime_checkable
class TeachingDecoder(CompiledDecoder, Protocol):
    """A decoder that can compute the gradient of a logical loss with respect to beliefs."""

    def logical_gap_loss(
        self, syndromes: np.ndarray, beliefs: np.ndarray, observables: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the cross-entropy of the true logical class under the decoder's complementary gap, and its gradient.

        For each observable the gap is the weight of the best solution in the wrong class minus that in the right class
        (Gidney, Newman, Brooks and Jones, Nat. Commun. 16, 4498). The loss is the sum of `log(1 + exp(-gap))`.

        Training calls this from several threads at the same time.

        Args:
            syndromes: As for `decode`.
            beliefs: As for `decode`.
            observables: True logical flips, bit-packed little-endian, uint8 `[shots, ceil(observables / 8)]`.

        Returns:
            Loss in nats, float32 `[shots]`, 0 for a shot without a known gap; and its derivative with respect to each
            belief, float32 `[shots, mechanisms]`.
        """
        ...


@runtime_checkable
class ExplainingDecoder(CompiledDecoder, Protocol):
    """A decoder that can return the mechanisms of its solution, and not only the observables that they flip."""

    def explain(self, syndromes: np.ndarray, beliefs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find a light set of mechanisms with each syndrome. A shot's does not depend on its batch.

        Training calls this from several threads at the same time.

        Args:
            syndromes: As for `decode`.
            beliefs: As for `decode`: where to look. Solutions are compared by the problem's own priors.

        Returns:
            The mechanisms, bool `[shots, mechanisms]`; and which shots have a solution at all, bool `[shots]`.
        """
        ...


@runtime_checkable
class Decoder(Protocol):
    """A decoder as an environment names it, not yet compiled for a problem. It must be cheap to create."""

    @property
    def takes_beliefs(self) -> bool:
        """Whether `decode` accepts per-shot beliefs."""
        ...

    def compile(self, problem: Problem) -> CompiledDecoder:
        """Compile the decoder for one problem.

        Raises:
            UsageError: The decoder cannot decode this problem; the message says why and names one that can.
        """
        ...
