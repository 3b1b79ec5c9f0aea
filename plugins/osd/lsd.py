"""The decoder `bp_lsd`: ldpc's belief propagation and localised-statistics decoding (Hillmann et al., arXiv:2406.18655).

A message of ldpc's can become NaN. Such a shot is decoded again as `osd` does, whose belief propagation is bounded, with as many
iterations and the same search; given beliefs, by ordered statistics on these. `not_a_number` counts the shots.
"""

from __future__ import annotations

from functools import cached_property
from math import inf
from typing import Any

import numpy as np

from autoqec.decoding.array_checks import check_beliefs, check_syndromes
from autoqec.decoding.decoder_contract import Decoded, Solutions
from autoqec.decoding.solution_names import weighed_corrections
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import Problem

from .osd_config import LsdConfig, OsdConfig, search_order, validated
from .osd_decoder import CompiledOsd
from .shots import ByShot
from .span import Span

#: Channel probabilities stay at least this far from 0 and 1, because ldpc's messages are ratios of them.
_SMALLEST = 1e-12


class BpLsd:
    """Belief propagation, then decoding of clusters around defects.

    Args:
        fields: The fields of `LsdConfig`.

    Raises:
        UsageError: A field is unknown or out of range.
    """

    takes_beliefs = True

    def __init__(self, **fields: Any) -> None:
        self._config = validated(LsdConfig, "bp_lsd", fields)

    def compile(self, problem: Problem) -> CompiledLsd:
        """Compile for one problem, with or without matching edges."""
        return CompiledLsd(problem, self._config)


class CompiledLsd:
    """`bp_lsd` compiled for one problem. Each process makes ldpc's decoders on first use."""

    confidence_kind = "converged"

    def __init__(self, problem: Problem, config: LsdConfig) -> None:
        self._problem = problem
        self._config = config
        self.not_a_number = 0

    def __getstate__(self) -> dict[str, object]:
        return {"_problem": self._problem, "_config": self._config, "not_a_number": 0}

    def _ldpc(self, iterations: int) -> Any:
        from ldpc.bplsd_decoder import BpLsdDecoder

        order = search_order(self._problem, self._config.order)
        fields = self._config.for_ldpc(self._problem) | {"max_iter": iterations}
        method = self._config.method if order or self._config.method == "lsd_cs" else "lsd_0"
        return BpLsdDecoder(**fields, lsd_method=method, lsd_order=order)

    @cached_property
    def _static(self) -> Any:
        return self._ldpc(self._config.bp_iterations)

    @cached_property
    def _told(self) -> Any:
        # ldpc cannot skip belief propagation, and reads 0 as "one iteration per mechanism".
        return self._ldpc(1)

    @cached_property
    def _bounded(self) -> CompiledOsd:
        """Decodes shots in which ldpc's messages become NaN: its own belief propagation is bounded."""
        method = self._config.method.replace("lsd", "osd")
        fields = {"bp_iterations": self._config.bp_iterations, "method": method, "order": self._config.order}
        return CompiledOsd(self._problem, OsdConfig.model_validate(fields))

    @cached_property
    def _by_shot(self) -> ByShot:
        return ByShot(self._problem)

    @cached_property
    def _span(self) -> Span:
        return Span(self._problem)

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """Decode a batch; see `autoqec.decoding.CompiledDecoder`.

        Beliefs become the channel probabilities of one iteration of belief propagation, at least 1e-12 from 0 and 1.

        Raises:
            UsageError: A shape or dtype is wrong, or a belief is not finite.
        """
        if beliefs is None:
            return self.decode_with_confidence(syndromes)[0]
        return self._on_beliefs(syndromes, beliefs)

    def solutions(self, syndromes: np.ndarray, beliefs: np.ndarray) -> Solutions:
        """Return the answer to these beliefs as the only class; see `autoqec.decoding.decoder_contract.SolvingDecoder`."""
        fired = np.zeros((len(syndromes), len(self._problem.mechanisms)), dtype=np.bool_)
        return weighed_corrections(self._problem, self._on_beliefs(syndromes, beliefs, fired), fired)

    def _on_beliefs(self, syndromes: np.ndarray, beliefs: np.ndarray, fired: np.ndarray | None = None) -> Decoded:
        """Decode, and write the mechanisms that fired if `fired` is given."""
        syndromes, lost = self._within_span(syndromes)
        beliefs = check_beliefs(self._problem, beliefs, len(syndromes))
        from scipy.special import expit

        def correct(shot: int, bits: np.ndarray) -> np.ndarray:
            channel = np.clip(expit(-beliefs[shot].astype(np.float64)), _SMALLEST, 1 - _SMALLEST)
            self._told.update_channel_probs(channel)
            answer: np.ndarray = self._told.decode(bits)
            if np.isnan(self._told.log_prob_ratios).any():
                again.append(shot)
            return answer

        again: list[int] = []
        decoded = self._by_shot.decode(syndromes, correct, fired)
        if again:
            some = np.clip(beliefs[again], -LLR_BOUND, LLR_BOUND)
            found, chosen = self._bounded.order_and_solve(syndromes[again], some, corrections=True)
            decoded.observables[again], decoded.invalid[again] = found.observables, found.invalid
            if fired is not None:
                fired[again] = chosen
            self.not_a_number += len(again)
        return Decoded(decoded.observables, decoded.invalid | lost)

    def confidence(self, syndromes: np.ndarray, at_most: float = inf) -> np.ndarray:
        """Return 1 where belief propagation converges, else 0; see `autoqec.decoding.ConfidentDecoder.confidence`."""
        return self.decode_with_confidence(syndromes, at_most)[1]

    def decode_with_confidence(self, syndromes: np.ndarray, at_most: float = inf) -> tuple[Decoded, np.ndarray]:
        """See `autoqec.decoding.ConfidentDecoder.decode_with_confidence`; the confidence costs nothing more."""
        syndromes, lost = self._within_span(syndromes)
        decoded, confidence, again = self._by_shot.decode_with_convergence(syndromes, self._static)
        if len(again):
            found, sure = self._bounded.decode_with_confidence(syndromes[again])
            decoded.observables[again], decoded.invalid[again] = found.observables, found.invalid
            confidence[again] = sure
            self.not_a_number += len(again)
        confidence[lost] = 0.0
        return Decoded(decoded.observables, decoded.invalid | lost), confidence

    def _within_span(self, syndromes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return syndromes with an empty one in place of each that no mechanisms explain, and which those are."""
        syndromes = check_syndromes(self._problem, syndromes)
        lost = self._span.misses(syndromes)
        if lost.any():
            # On these syndromes ldpc's clusters grow beyond their arrays and crash the process.
            syndromes = np.where(lost[:, None], np.uint8(0), syndromes)
        return syndromes, lost
