"""The decoder `osd`: BP+OSD with the problem's own priors, or ordered-statistics decoding (OSD) on given beliefs.

Without beliefs, belief propagation runs on the priors, and OSD on its last beliefs where it does not converge: the answers of
ldpc's `BpOsdDecoder` (Roffe et al., Phys. Rev. Research 2, 043423) at a small part of its time (`benchmarks/plain_osd.py`).

Beliefs come from a predecoder's inference, so no belief propagation runs on them: on the [[72,12,6]] code it took ten times as
long as decoding and gained nothing. Beliefs order the mechanisms, and solutions are compared by the priors (field `costs`).
"""

from __future__ import annotations

from functools import cached_property
from math import inf
from typing import Any, Protocol

import numpy as np

from autoqec.decoding.array_checks import check_beliefs, check_syndromes
from autoqec.decoding.decoder_contract import CompiledDecoder, Decoded, Solutions
from autoqec.decoding.flipping import syndromes_of_mechanisms
from autoqec.decoding.solution_names import weighed_corrections
from autoqec.decoding.sum_product import Propagated, SumProduct
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import Problem

from .ldpc_propagation import LdpcPropagation
from .osd_config import OsdConfig, validated
from .osd_kernel import UNSOLVABLE, decode
from .search import COMBINATION_SWEEP, EXHAUSTIVE, ZERO
from .span import as_words

#: The order of the combination sweep of `explain`.
_SWEEP = 10

_SEARCH = {"osd_0": ZERO, "osd_e": EXHAUSTIVE, "osd_cs": COMBINATION_SWEEP}

#: Bytes of beliefs that are held at a time, if no shot converges.
_MOST_BYTES = 64 * 2**20


class _Propagation(Protocol):
    """Belief propagation on the priors: `SumProduct`, or `LdpcPropagation`."""

    def run(self, syndromes: np.ndarray, *, beliefs: bool = False) -> Propagated: ...


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
    """`osd` compiled for one problem. Each process prepares its belief propagation on first use."""

    confidence_kind = "converged"

    def __init__(self, problem: Problem, config: OsdConfig) -> None:
        self._problem = problem
        self._config = config

    def __getstate__(self) -> dict[str, object]:
        return {"_problem": self._problem, "_config": self._config}

    @cached_property
    def _propagation(self) -> _Propagation:
        config = self._config
        if config.bp_method == "product_sum" and config.schedule == "parallel":
            return SumProduct(self._problem, config.bp_iterations)
        return LdpcPropagation(self._problem, config)

    @property
    def not_a_number(self) -> int:
        """See `autoqec.decoding.decoder_contract.not_a_number`."""
        return int(getattr(self.__dict__.get("_propagation"), "not_a_number", 0))

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
            return self.decode_with_confidence(syndromes)[0]
        beliefs = check_beliefs(self._problem, beliefs, len(syndromes))
        return self.order_and_solve(syndromes, np.clip(beliefs, -LLR_BOUND, LLR_BOUND))[0]

    def solutions(self, syndromes: np.ndarray, beliefs: np.ndarray) -> Solutions:
        """Return the answer to these beliefs as the only class; see `autoqec.decoding.decoder_contract.SolvingDecoder`."""
        syndromes = check_syndromes(self._problem, syndromes)
        beliefs = np.clip(check_beliefs(self._problem, beliefs, len(syndromes)), -LLR_BOUND, LLR_BOUND)
        decoded, fired = self.order_and_solve(syndromes, beliefs, corrections=True)
        return weighed_corrections(self._problem, decoded, fired)

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
        decoded, confidence, _ = self._decode(syndromes, share=False)
        return decoded, confidence

    def decode_and_share(self, syndromes: np.ndarray) -> tuple[Decoded, np.ndarray, np.ndarray]:
        """See `autoqec.decoding.SharingDecoder.decode_and_share`: belief propagation leaves its last beliefs."""
        return self._decode(syndromes, share=True)

    def decode_unsure(self, syndromes: np.ndarray, left: np.ndarray) -> Decoded:
        """See `autoqec.decoding.SharingDecoder.decode_unsure`."""
        syndromes = check_syndromes(self._problem, syndromes)
        return self._solve(syndromes, check_beliefs(self._problem, left, len(syndromes)), "priors")[0]

    def _decode(self, syndromes: np.ndarray, *, share: bool) -> tuple[Decoded, np.ndarray, np.ndarray]:
        """Plain answers, confidence, and the last beliefs of the unsure shots; none of these unless they are shared."""
        syndromes = check_syndromes(self._problem, syndromes)
        mechanisms = len(self._problem.mechanisms)
        most = max(1, _MOST_BYTES // (4 * mechanisms))
        observables = np.zeros((len(syndromes), self._problem.observable_bytes), dtype=np.uint8)
        invalid = np.zeros(len(syndromes), dtype=np.bool_)
        sure = np.ones(len(syndromes), dtype=np.bool_)
        left = [np.zeros((0, mechanisms), dtype=np.float32)]
        asked = np.flatnonzero(syndromes.any(axis=1))  # an empty syndrome needs no correction
        for first in range(0, len(asked), most):
            piece = asked[first : first + most]
            found = self._propagation.run(syndromes[piece], beliefs=True)
            observables[piece], sure[piece] = found.observables, found.explained
            unsure = piece[~found.explained]
            solved, _ = self._solve(syndromes[unsure], found.beliefs, "priors")
            observables[unsure], invalid[unsure] = solved.observables, solved.invalid
            if share:
                left.append(found.beliefs)
        return Decoded(observables, invalid), sure.astype(np.float32), np.concatenate(left)

    def explain(self, syndromes: np.ndarray, beliefs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `autoqec.decoding.ExplainingDecoder.explain`: a combination sweep, whatever this decoder's own method is.

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
        return self._solve(syndromes, beliefs, self._config.costs, corrections=corrections)

    def _solve(
        self, syndromes: np.ndarray, beliefs: np.ndarray, costs: str, *, corrections: bool = False
    ) -> tuple[Decoded, np.ndarray]:
        problem, config = self._problem, self._config
        shots = len(syndromes)
        observables = np.zeros((shots, problem.observable_bytes), dtype=np.uint8)
        status = np.zeros(shots, dtype=np.uint8)
        fired = np.zeros((shots, len(problem.mechanisms)) if corrections else (0, 0), dtype=np.bool_)
        price = beliefs if costs == "beliefs" else np.array(problem.priors_llr)[None]
        search = _SEARCH[config.method]
        flips = np.array(problem.mechanisms.observables)
        decode(
            as_words(syndromes), beliefs, price, self._columns, flips, search, config.order, observables, status, fired
        )
        observables[status == UNSOLVABLE] = 0
        return Decoded(observables, status == UNSOLVABLE), fired
