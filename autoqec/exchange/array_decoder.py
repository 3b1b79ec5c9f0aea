"""A decoder for programs: arrays of syndromes in, arrays of observables of the same form out, as bools or bit-packed."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol

import numpy as np

from autoqec.decoding.decoder_contract import Decoded
from autoqec.errors import UsageError
from autoqec.problem.problem import Problem

#: Numbers in the beliefs of the shots that are decoded at once: 64 MB.
_MOST_BELIEFS = 2**24

#: Shots that are decoded at once, at least and at most, whatever their beliefs take.
_FEWEST, _MOST = 64, 8192


class Answering(Protocol):
    """What answers bit-packed syndromes of one problem."""

    @property
    def problem(self) -> Problem:
        """The problem that is decoded."""
        ...

    def decode(self, syndromes: np.ndarray) -> Decoded:
        """Decode a batch; see `CompiledDecoder.decode`."""
        ...

    def confidence(self, syndromes: np.ndarray, at_most: float = inf) -> np.ndarray:
        """How sure it is of each answer; see `ConfidentDecoder.confidence`."""
        ...


class ArrayDecoder:
    """Decodes arrays.

    Syndromes have one row for each shot and one of two forms; what comes out has the same:

    - bool `[shots, detectors]`, as `stim.CompiledDetectorSampler.sample` returns them;
    - uint8 `[shots, ceil(detectors / 8)]`, bit-packed little-endian, as with `bit_packed=True`.

    Args:
        answering: What decodes.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    @property
    def problem(self) -> Problem:
        """The problem that is decoded: its circuit, error model, detectors, observables and mechanisms."""
        return self._answering.problem

    def decode(self, syndromes: np.ndarray) -> np.ndarray:
        """Predict which observables flipped.

        Args:
            syndromes: bool `[shots, detectors]`, or bit-packed uint8 `[shots, ceil(detectors / 8)]`.

        Returns:
            bool `[shots, observables]`, or bit-packed uint8 `[shots, ceil(observables / 8)]`, as the syndromes are. For a shot
            without a valid answer that is no flip at all; `decode_checked` says which shots these are.

        Raises:
            UsageError: A shape or dtype is wrong.
        """
        return self.decode_checked(syndromes)[0]

    def decode_checked(self, syndromes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `decode`, and which shots have a valid answer.

        Returns:
            What `decode` returns; and bool `[shots]`. AutoQEC counts a shot without a valid answer as a failure.
        """
        syndromes = np.asarray(syndromes)
        packed = self._packed(syndromes)
        parts = [self._answering.decode(each) for each in self._pieces(packed)]
        observables = np.concatenate([part.observables for part in parts])
        invalid = np.concatenate([part.invalid for part in parts])
        observables = np.where(invalid[:, None], np.uint8(0), observables)
        if syndromes.dtype == np.bool_:
            count = self.problem.num_observables
            observables = np.unpackbits(observables, axis=1, count=count, bitorder="little").astype(np.bool_)
        return observables, ~invalid

    def confidence(self, syndromes: np.ndarray) -> np.ndarray:
        """Say how sure the classical decoder is of its answer without a predecoder.

        Args:
            syndromes: As for `decode`.

        Returns:
            float32 `[shots]`; larger is surer. For `mwpm` it is the complementary gap in nats, for `osd` 1 where belief
            propagation converged and else 0.

        Raises:
            UsageError: The classical decoder does not say how sure it is, or a shape or dtype is wrong.
        """
        answer: Callable[[np.ndarray], np.ndarray] = self._answering.confidence
        return np.concatenate([answer(each) for each in self._pieces(self._packed(syndromes))])

    def _pieces(self, packed: np.ndarray) -> list[np.ndarray]:
        """Parts of a batch whose beliefs fit the memory; a shot's answer does not depend on its batch."""
        size = min(max(_MOST_BELIEFS // len(self.problem.mechanisms), _FEWEST), _MOST)
        return [packed[first : first + size] for first in range(0, max(len(packed), 1), size)]

    def _packed(self, syndromes: np.ndarray) -> np.ndarray:
        problem, array = self.problem, np.asarray(syndromes)
        if array.dtype == np.bool_ and array.ndim == 2 and array.shape[1] == problem.num_detectors:
            return np.packbits(array, axis=1, bitorder="little")
        if array.dtype == np.uint8 and array.ndim == 2 and array.shape[1] == problem.syndrome_bytes:
            return np.ascontiguousarray(array)
        raise UsageError(
            f"{problem.name}: syndromes must be bool (shots, {problem.num_detectors}), or bit-packed uint8 (shots, "
            f"{problem.syndrome_bytes}), not {array.dtype} {array.shape}",
            hint=_hint(array, problem),
        )


def _hint(array: np.ndarray, problem: Problem) -> str:
    if array.ndim == 1 and array.size in (problem.num_detectors, problem.syndrome_bytes):
        return "for one shot, use syndromes[None]"
    if array.ndim == 2 and array.shape[1] == problem.num_detectors:
        return "if they hold 0 and 1, use syndromes.astype(bool)"
    return "sample the problem's own circuit, or decode another circuit with a decoder of its own"
