"""The decoder `osd`: ldpc's BP+OSD with the problem's own priors, or ordered-statistics decoding (OSD) on given beliefs.

Without beliefs it is ldpc's `BpOsdDecoder` (Roffe et al., Phys. Rev. Research 2, 043423). Beliefs come from a predecoder's
inference, so no belief propagation runs on them: on the [[72,12,6]] code it took ten times as long as decoding and gained
nothing. Beliefs order the mechanisms, and solutions are compared by the priors (field `costs`).
"""

from __future__ import annotations

from functools import cached_property
from math import inf
from typing import Any

import numpy as np

from autoqec.decoding.array_checks import check_beliefs, check_syndromes
from autoqec.decoding.decoder_contract import CompiledDecoder, Decoded
from autoqec.decoding.flipping import syndromes_of_mechanisms
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import Problem

from .osd_config import OsdConfig, search_order, validated
from .osd_kernel import UNSOLVABLE, decode
from .search import COMBINATION_SWEEP, EXHAUSTIVE, ZERO
from .shots import ByShot
from .span import as_words

#: The order of the combination sweep of `solutions`.
_SWEEP = 10

_SEARCH = {"osd_0": ZERO, "osd_e": EXHAUSTIVE, "osd_cs": COMBINATION_SWEEP}


class Osd:
    """Belief propagation, then ordered-statistics decoding; with given beliefs, only the latter.

    Args:
        fields: The fields of `OsdConfig`.

    Raises:
        UsageError: A field is unknown or out of range.
    """

    takes_beliefs = True

    def __init__(self, **fields: Any) -> None:
        self._config = validated(OsdConfig, "osd", fields)

    def compile(self, problem: Problem) -> CompiledOsd:
        """Compile for one problem, with or without matching edges."""
        return CompiledOsd(problem, self._config)


class CompiledOsd:
    """`osd` compiled for one problem. Each process makes ldpc's decoder on first use."""

    confidence_kind = "converged"

    def __init__(self, problem: Problem, config: OsdConfig) -> None:
        self._problem = problem
        self._config = config

    def __getstate__(self) -> dict[str, object]:
        return {"_problem": self._problem, "_config": self._config}

    @cached_property
    def _ldpc(self) -> Any:
        from ldpc.bposd_decoder import BpOsdDecoder

        order = search_order(self._problem, self._config.order)
        method = self._config.method if order or self._config.method == "osd_cs" else "osd_0"
        return BpOsdDecoder(**self._config.for_ldpc(self._problem), osd_method=method, osd_order=order)

    @cached_property
    def _by_shot(self) -> ByShot:
        return ByShot(self._problem)

    @cached_property
    def _columns(self) -> np.ndarray:
        return as_words(syndromes_of_mechanisms(self._problem))

    @cached_property
    def _sweeping(self) -> CompiledOsd:
        return CompiledOsd(self._problem, OsdConfig(method="osd_cs", order=_SWEEP))

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """Decode a batch; see `autoqec.decoding.CompiledDecoder`.

        Beliefs are clipped to ±`LLR_BOUND`. A shot is invalid if no set of mechanisms explains its syndrome.

        Raises:
            UsageError: A shape or dtype is wrong, or a belief is not finite.
        """
        syndromes = check_syndromes(self._problem, syndromes)
        if beliefs is None:
            return self._by_shot.decode(syndromes, lambda _, bits: self._ldpc.decode(bits))
        beliefs = check_beliefs(self._problem, beliefs, len(syndromes))
        return self.order_and_solve(syndromes, np.clip(beliefs, -LLR_BOUND, LLR_BOUND))[0]

    def same_where_sure(self, other: CompiledDecoder) -> bool:
        """Whether another decoder gives this one's answers wherever that one is sure: both run the same belief propagation."""
        if not isinstance(other, CompiledOsd) or other._problem.fingerprint != self._problem.fingerprint:
            return False
        return self._config.propagation == other._config.propagation

    def confidence(self, syndromes: np.ndarray, at_most: float = inf) -> np.ndarray:
        """Return 1 where belief propagation converges, else 0; see `autoqec.decoding.ConfidentDecoder.confidence`."""
        return self.decode_with_confidence(syndromes, at_most)[1]

    def decode_with_confidence(self, syndromes: np.ndarray, at_most: float = inf) -> tuple[Decoded, np.ndarray]:
        """See `autoqec.decoding.ConfidentDecoder.decode_with_confidence`; the confidence costs nothing more."""
        return self._by_shot.decode_with_convergence(check_syndromes(self._problem, syndromes), self._ldpc)

    def solutions(self, syndromes: np.ndarray, beliefs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `autoqec.decoding.SolvingDecoder.solutions`: a combination sweep, whatever this decoder's own method is.

        Raises:
            UsageError: A shape or dtype is wrong, or a belief is not finite.
        """
        syndromes = check_syndromes(self._problem, syndromes)
        beliefs = check_beliefs(self._problem, beliefs, len(syndromes))
        clipped = np.clip(beliefs, -LLR_BOUND, LLR_BOUND)
        found, fired = self._sweeping.order_and_solve(syndromes, clipped, corrections=True)
        return fired, ~found.invalid

    def order_and_solve(
        self, syndromes: np.ndarray, beliefs: np.ndarray, *, corrections: bool = False
    ) -> tuple[Decoded, np.ndarray]:
        """Run ordered-statistics decoding on checked beliefs.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            beliefs: float32 `[shots, mechanisms]`, C-contiguous, finite.
            corrections: Whether to return the mechanisms too.

        Returns:
            The decoded flips, and the mechanisms of the solution, bool `[shots, mechanisms]` (`[0, 0]` without `corrections`).
        """
        problem, config = self._problem, self._config
        shots = len(syndromes)
        observables = np.zeros((shots, problem.observable_bytes), dtype=np.uint8)
        status = np.zeros(shots, dtype=np.uint8)
        fired = np.zeros((shots, len(problem.mechanisms)) if corrections else (0, 0), dtype=np.bool_)
        costs = beliefs if config.costs == "beliefs" else np.array(problem.priors_llr)[None]
        search = _SEARCH[config.method]
        flips = np.array(problem.mechanisms.observables)
        decode(
            as_words(syndromes), beliefs, costs, self._columns, flips, search, config.order, observables, status, fired
        )
        observables[status == UNSOLVABLE] = 0
        return Decoded(observables, status == UNSOLVABLE), fired
