"""Runs a round's predecoder in a locked process of its own, as the judge does, for rounds whose code nobody has to trust."""

from __future__ import annotations

from functools import cached_property
from math import inf

import numpy as np

from autoqec.canonical import dump_flow, load_yaml
from autoqec.decoding.array_checks import check_syndromes
from autoqec.decoding.decoder_contract import Decoded
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.package import Package
from autoqec.plugins import Registry
from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.problem.problem import Problem
from autoqec.scoring.matcher import Matcher


class IsolatedRound:
    """A predecoder behind the matcher, which holds the classical decoder, and starts the candidate's process locked.

    It answers as `autoqec.exchange.deploy.Deployed` does. Its processes start with the first batch, and end with `close`.

    Args:
        package: The round.
        registry: Installed plugins.
    """

    def __init__(self, package: Package, registry: Registry) -> None:
        self._package, self._registry = package, registry
        self._matcher: Matcher | None = None

    @cached_property
    def _plainly(self) -> Deployed:
        return Deployed(self._package, self._registry)

    @property
    def problem(self) -> Problem:
        """The problem that is decoded."""
        return self._plainly.problem

    def decode(self, syndromes: np.ndarray) -> Decoded:
        """Decode a batch in the same way as in scoring, the candidate's gate and ensemble included.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.

        Raises:
            UsageError: A shape or dtype is wrong.
            CandidateFault: The candidate broke its contract.
        """
        syndromes, matcher = check_syndromes(self.problem, syndromes), self._ready()
        if not matcher.gated:
            return matcher.candidate(syndromes)[0]
        split, _ = matcher.gate(syndromes)
        if not split.sent.any():
            return split.answer
        return split.filled(matcher.candidate(np.ascontiguousarray(syndromes[split.sent]))[0])

    def confidence(self, syndromes: np.ndarray, at_most: float = inf) -> np.ndarray:
        """Return how sure the classical decoder is without the predecoder; see `Deployed.confidence`.

        It runs in this process: nothing of the candidate takes part.
        """
        return self._plainly.confidence(syndromes, at_most)

    def _ready(self) -> Matcher:
        if self._matcher is None:
            self._matcher = Matcher(self._package.sealed.to_blobs() | self._environment())
            try:
                self._matcher.wait(self.problem.observable_bytes)
            except BaseException:
                self.close()
                raise
        return self._matcher

    def _environment(self) -> dict[str, bytes]:
        """The environment's files without its references, which would be loaded too."""
        loaded = self._package.environment
        fields = load_yaml(loaded.files[ENVIRONMENT_FILE], name=loaded.origin)
        without = {name: value for name, value in fields.items() if name != "references"}
        text = "".join(f"{name}: {dump_flow(value)}\n" for name, value in without.items())
        return loaded.to_blobs() | {f"env:{ENVIRONMENT_FILE}": text.encode()}

    def close(self) -> None:
        """End its processes; the next batch starts new ones."""
        if self._matcher is not None:
            self._matcher.close()
        self._matcher = None
