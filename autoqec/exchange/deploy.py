"""Runs a round's predecoder in this process, in front of the classical decoder of its environment.

The judge never does this: it keeps a candidate in a process of its own. If you export a round, you have decided to trust it.
The results are the same, because non-finite beliefs are treated as the judge treats them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from autoqec.candidate.carrying import carried_weights
from autoqec.candidate.compile import compile_inference
from autoqec.candidate.schema import Candidate, read_candidate
from autoqec.candidate.stage_contract import Inference
from autoqec.candidate.weights import load_weights
from autoqec.decoding.array_checks import check_syndromes
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder, Decoded
from autoqec.decoding.ensemble import CHOICE_TENSOR, Ensembling, learned_choice, open_ensemble
from autoqec.decoding.flipping import hard_flip
from autoqec.decoding.gating import Gating, open_gate
from autoqec.errors import UsageError
from autoqec.exchange.package import Package
from autoqec.plugins import Registry
from autoqec.problem.code_contract import build_problem
from autoqec.problem.problem import Problem
from autoqec.scoring.predictor import settle_beliefs


@dataclass(frozen=True)
class Deployed:
    """A predecoder with its classical decoder, ready to decode.

    Attributes:
        package: The round.
        registry: Installed plugins.
        elsewhere: Another problem to decode, of the family that the round's weights are bound to; None for that of its training.
    """

    package: Package
    registry: Registry
    elsewhere: Problem | None = None

    @cached_property
    def problem(self) -> Problem:
        """The problem that is decoded."""
        if self.elsewhere is not None:
            return self.elsewhere
        return build_problem(self.package.environment, self.registry.maker("code"))

    @cached_property
    def candidate(self) -> Candidate:
        """The predecoder's pipeline."""
        return read_candidate(self.package.sealed.files, self.registry.maker("stage"))

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """The predecoder's weights by `<slug>.<parameter>`."""
        elsewhere = self.elsewhere is not None
        return load_weights(self.package.sealed.weights, fingerprint=self.problem.fingerprint, same_family=elsewhere)

    def on(self, problem: Problem) -> Deployed:
        """The same predecoder on another problem of the family that its weights are bound to.

        Raises:
            AutoQECError: The weights are bound to the problem of their training, or this one is of another family.
        """
        other = Deployed(self.package, self.registry, problem)
        carried_weights(other.candidate, other.tensors, problem)
        return other

    @cached_property
    def _infer(self) -> Inference:
        return compile_inference(self.candidate, self.tensors, self.problem)

    @cached_property
    def _plain(self) -> CompiledDecoder:
        return compile_decoder(self.package.environment.environment.decoder, self.problem, self.registry)

    @cached_property
    def _decoder(self) -> CompiledDecoder:
        output = self.candidate.output
        return hard_flip(self._plain, self.problem, output.threshold) if output.mode == "hard_flip" else self._plain

    @cached_property
    def _gating(self) -> Gating | None:
        gate = self.candidate.gate
        name = self.package.environment.environment.decoder.kind
        return open_gate(gate, self._plain, self.problem, name=name) if gate is not None else None

    @cached_property
    def _ensembling(self) -> Ensembling | None:
        ensemble, name = self.candidate.ensemble, self.package.environment.environment.decoder.kind
        if ensemble is None:
            return None
        learned = learned_choice(self.package.sealed.floats(CHOICE_TENSOR))
        return open_ensemble(ensemble, self._decoder, self.problem, learned, name=name)

    def beliefs(self, syndromes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the predecoder's beliefs.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.

        Returns:
            Log-likelihood ratios per mechanism, float32 `[shots, mechanisms]`, and the shots whose beliefs were not finite
            and are replaced by the priors, bool `[shots]`.
        """
        return self._beliefs(check_syndromes(self.problem, syndromes), None)

    def _beliefs(self, syndromes: np.ndarray, priors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """As `beliefs`, from given priors, float32 `[mechanisms]`."""
        start = self.problem.priors_llr if priors is None else priors
        beliefs = np.array(self._infer(syndromes, np.repeat(start[None], len(syndromes), axis=0)))
        return beliefs, settle_beliefs(beliefs, self.problem.priors_llr)

    def decode(self, syndromes: np.ndarray) -> Decoded:
        """Decode a batch in the same way as in scoring, the candidate's gate and ensemble included.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.

        Raises:
            UsageError: A shape or dtype is wrong.
        """
        syndromes = check_syndromes(self.problem, syndromes)
        if self._gating is None:
            return self._through_pipeline(syndromes)
        split = self._gating.split(syndromes)
        if not split.sent.any():
            return split.answer
        return split.filled(self._through_pipeline(np.ascontiguousarray(syndromes[split.sent])))

    def _through_pipeline(self, syndromes: np.ndarray) -> Decoded:
        """The answers of the pipeline and the decoder behind it, to shots that a gate sends on or has not seen."""
        if not self.candidate.stages:
            return self._plain.decode(syndromes)
        if self._ensembling is not None:
            return self._ensembling.decode(syndromes, self._beliefs).answer
        beliefs, invalid = self.beliefs(syndromes)
        decoded = self._decoder.decode(syndromes, beliefs)
        return Decoded(decoded.observables, decoded.invalid | invalid)

    def require_confidence(self) -> ConfidentDecoder:
        """Return the classical decoder if it can say how sure it is.

        Raises:
            UsageError: It cannot.
        """
        if not isinstance(self._plain, ConfidentDecoder):
            name = self.package.environment.environment.decoder.label
            raise UsageError(
                f"the decoder of {self.package.name}, {name}, does not say how sure it is of its answers",
                hint="of AutoQEC's own decoders, mwpm, osd and bp_lsd do",
            )
        return self._plain

    def confidence(self, syndromes: np.ndarray, at_most: float = inf) -> np.ndarray:
        """Return how sure the classical decoder is without the predecoder, float32 `[shots]`; see `ConfidentDecoder`.

        Args:
            syndromes: As for `decode`.
            at_most: A value above it may be any number above it.

        Raises:
            UsageError: The decoder of the round's environment does not offer it, or a shape or dtype is wrong.
        """
        return self.require_confidence().confidence(syndromes, at_most)

    def decode_with_confidence(self, syndromes: np.ndarray, at_most: float = inf) -> tuple[Decoded, np.ndarray]:
        """Return `decode(syndromes)` and `confidence(syndromes, at_most)`."""
        confidence = self.confidence(syndromes, at_most)
        return self.decode(syndromes), confidence
