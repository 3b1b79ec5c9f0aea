"""Applies a candidate's gate: which shots its pipeline is sent, and the answers of those that it is not.

A gate is a function of a shot's syndrome alone: neither the other shots of a batch nor anything that the candidate's process does
changes it. The judge's matcher, exported rounds and training apply it through this one module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder, Decoded, confidence_kind
from autoqec.decoding.gate_file import NO_KIND, Gate, require_offered
from autoqec.errors import AutoQECError
from autoqec.problem.problem import Problem


@dataclass(frozen=True)
class Split:
    """What a gate makes of some shots.

    Attributes:
        answer: The answers of the shots that are not sent on; those of the others are without meaning.
        sent: The shots that are sent on, bool `[shots]`.
        tried: How many shots the short belief propagation was run on.
    """

    answer: Decoded
    sent: np.ndarray
    tried: int = 0

    def filled(self, answer: Decoded) -> Decoded:
        """All shots' answers.

        Args:
            answer: Those of the shots that were sent on, in their order.
        """
        observables, invalid = self.answer.observables.copy(), self.answer.invalid.copy()
        observables[self.sent], invalid[self.sent] = answer.observables, answer.invalid
        return Decoded(observables, invalid)


class Gating:
    """A gate that is ready for one problem; see `open_gate`."""

    def __init__(self, gate: Gate, decoder: CompiledDecoder, problem: Problem):
        self.gate, self._decoder, self._problem = gate, decoder, problem
        self._border = np.float32(gate.threshold)
        self._short_bp = None
        if gate.short_bp:
            from autoqec.decoding.short_bp import ShortBP  # its kernels are compiled only where a gate has this step

            self._short_bp = ShortBP(problem, gate.short_bp)

    @property
    def short_bp_flops(self) -> int:
        """FLOPs of the short belief propagation for each shot that it is run on; 0 if the gate has no such step."""
        return self._short_bp.flops_per_shot if self._short_bp else 0

    def plainly(self, split: Split) -> int:
        """How many shots the gate asked the decoder about: with no confidence, those of few events alone."""
        shots = len(split.sent)
        if self.gate.kind != NO_KIND:
            return shots
        return shots - (split.tried if self._short_bp else int(split.sent.sum()))

    def split(self, syndromes: np.ndarray) -> Split:
        """Decide which shots are sent on, and answer the others.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.

        Raises:
            AutoQECError: The decoder's confidence is not a number for each shot, or a shape or dtype is wrong.
        """
        few = self._few(syndromes)
        found = self._by_confidence(syndromes) if not few.any() else self._by_events(syndromes, few)
        return self._by_short_bp(syndromes, found) if self._short_bp else found

    def _few(self, syndromes: np.ndarray) -> np.ndarray:
        """The shots with too few fired detectors to be looked at."""
        if not self.gate.events:
            return np.zeros(len(syndromes), dtype=bool)
        fired = np.bitwise_count(syndromes).sum(axis=1, dtype=np.int64)
        return np.asarray(fired < self.gate.events)

    def _by_events(self, syndromes: np.ndarray, few: np.ndarray) -> Split:
        """Plain answers for shots with few events, and the next step for the others."""
        plain = self._decoder.decode(np.ascontiguousarray(syndromes[few]))
        rest = self._by_confidence(np.ascontiguousarray(syndromes[~few]))
        sent = np.zeros(len(syndromes), dtype=bool)
        sent[~few] = rest.sent
        width = plain.observables.shape[1]
        answer = Decoded(np.zeros((len(syndromes), width), np.uint8), np.zeros(len(syndromes), bool))
        answer = Split(answer, few).filled(plain)
        return Split(Split(answer, ~few).filled(rest.answer), sent)

    def _by_confidence(self, syndromes: np.ndarray) -> Split:
        """Plain answers, and which of them the decoder is not sure enough of."""
        shots = len(syndromes)
        if self.gate.kind == NO_KIND or not shots:
            nothing = np.zeros((shots, self._problem.observable_bytes), dtype=np.uint8)
            return Split(Decoded(nothing, np.zeros(shots, dtype=bool)), np.ones(shots, dtype=bool))
        assert isinstance(self._decoder, ConfidentDecoder)
        plain, confidence = self._decoder.decode_with_confidence(syndromes, float(self._border))
        if confidence.shape != (shots,) or np.isnan(confidence).any():
            raise AutoQECError(f"the decoder's confidence is not one number for each of {shots} shots")
        return Split(plain, np.asarray(confidence <= self._border))

    def _by_short_bp(self, syndromes: np.ndarray, found: Split) -> Split:
        """Answers of belief propagation for the shots it explains, instead of sending them on."""
        assert self._short_bp is not None
        tried = int(found.sent.sum())
        explained = self._short_bp.explain(np.ascontiguousarray(syndromes[found.sent]))
        answered = found.sent.copy()
        answered[found.sent] = explained.shots
        own = Decoded(explained.observables[explained.shots], np.zeros(int(answered.sum()), dtype=bool))
        return Split(replace(found, sent=answered).filled(own), found.sent & ~answered, tried)


def open_gate(gate: Gate, decoder: CompiledDecoder, problem: Problem, *, name: str = "") -> Gating:
    """Prepare a gate.

    Args:
        gate: The candidate's.
        decoder: The environment's decoder, compiled for the problem.
        problem: What is decoded.
        name: The decoder's name, for messages; empty where it is not known.

    Raises:
        UsageError: The decoder does not offer the confidence that the gate asks for.
    """
    require_offered(gate, confidence_kind(decoder), name)
    return Gating(gate, decoder, problem)
