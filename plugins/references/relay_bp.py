"""The decoder `relay_bp`: belief propagation relayed through disordered memories (Müller et al., arXiv:2506.01779)."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from autoqec.decoding.array_checks import check_syndromes
from autoqec.decoding.decoder_contract import Decoded
from autoqec.decoding.sinter_adapter import needed
from autoqec.errors import UsageError
from autoqec.problem.problem import Problem


class RelayBp:
    """Relay-BP, from IBM's package relay-bp; the defaults are its authors' values for the gross code.

    Args:
        solutions: Number of solutions to find; the most likely one is the result (Relay-BP-S).
        legs: Maximum number of legs of the relay, each with different memories.
        iterations: Iterations of each leg.
        first_iterations: Iterations of the first leg.
        memory: Memory strength of the first leg, the same for all mechanisms.
        memories: The interval of memory strengths in the other legs.
    """

    takes_beliefs = False

    def __init__(
        self,
        solutions: int = 5,
        legs: int = 60,
        iterations: int = 60,
        first_iterations: int = 80,
        memory: float = 0.125,
        memories: tuple[float, float] = (-0.24, 0.66),
    ) -> None:
        if len(memories) != 2:
            raise UsageError(f"decoder relay_bp: memories must be an interval such as [-0.24, 0.66], not {memories}")
        self._options = {
            "gamma0": memory,
            "pre_iter": first_iterations,
            "num_sets": legs,
            "set_max_iter": iterations,
            "gamma_dist_interval": tuple(memories),
            "stop_nconv": solutions,
        }

    def compile(self, problem: Problem) -> CompiledRelay:
        """Compile for one problem, with or without matching edges.

        Raises:
            MissingPackageError: The package is not installed.
        """
        return CompiledRelay(problem, needed("relay_bp", "relay-bp", "relay_bp"), self._options)


class CompiledRelay:
    """`relay_bp` compiled for one problem."""

    def __init__(self, problem: Problem, package: Any, options: dict[str, Any]) -> None:
        self._problem, self._package, self._options = problem, package, options

    @cached_property
    def _runner(self) -> Any:
        from scipy.sparse import csr_matrix

        mechanisms = self._problem.mechanisms
        owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
        ones = np.ones(len(owner), dtype=np.uint8)
        shape = (self._problem.num_detectors, len(mechanisms))
        checks = csr_matrix((ones, (mechanisms.detector, owner)), shape=shape)
        flips = np.unpackbits(mechanisms.observables, axis=1, count=self._problem.num_observables, bitorder="little").T
        decoder = self._package.RelayDecoderF64(checks, error_priors=mechanisms.priors, **self._options)
        return self._package.ObservableDecoderRunner(decoder, csr_matrix(flips), include_decode_result=False)

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """Decode a batch; see `autoqec.decoding.CompiledDecoder`. If no leg converges on a shot, the result is a guess.

        Raises:
            UsageError: Beliefs are given, or a shape or dtype is wrong.
        """
        if beliefs is not None:
            raise UsageError("relay_bp takes no beliefs", hint="use decoder: {kind: osd} with a predecoder")
        syndromes = check_syndromes(self._problem, syndromes)
        observables = np.zeros((len(syndromes), self._problem.observable_bytes), dtype=np.uint8)
        some = np.flatnonzero(syndromes.any(axis=1))
        if len(some):
            bits = np.unpackbits(syndromes[some], axis=1, count=self._problem.num_detectors, bitorder="little")
            answers = np.asarray(self._runner.decode_observables_batch(bits, parallel=False), dtype=np.uint8)
            observables[some] = np.packbits(answers, axis=1, bitorder="little")
        return Decoded(observables, np.zeros(len(syndromes), dtype=bool))
