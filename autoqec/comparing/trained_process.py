"""A trained round in processes of its own: the matcher's and its candidate's, sealed as the judge keeps them.

The candidate is untrusted code. It is sent syndromes and nothing else, as in scoring. On another problem of the family that its
weights are bound to, these are bound to that problem, as in a verdict's cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from autoqec.candidate.weights import binds_family, bound_to, carried_over
from autoqec.comparing.decoder_names import TrainedDecoder
from autoqec.comparing.decoder_process import Answers, DecoderFault, Ready, Reason
from autoqec.comparing.decoding_source import DecodingSource
from autoqec.comparing.timing import measure
from autoqec.decoding.decoder_contract import Decoded
from autoqec.errors import AutoQECError, UsageError
from autoqec.exchange.package import Package
from autoqec.plugins import Registry
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import LoadedEnvironment
from autoqec.problem.problem import Problem, same_problem
from autoqec.results.decoder_comparison import DecodingTime
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.batches import batches
from autoqec.scoring.matcher import Matcher
from autoqec.scoring.predictor import CandidateFault

#: How a round's weights came to a problem: they were trained on it; or they are carried to another physical error rate of the
#: same graph, or to another problem of the family that they are bound to.
Fits = Literal["trained", "rate", "family"]

_REASONS: dict[str, Reason] = {"timeout": "hang", "bad_output": "bad_answer"}


@dataclass(frozen=True)
class Fitted:
    """A round on a problem.

    Attributes:
        environment: What its processes build the problem from.
        sealed: The round, with weights bound to that problem.
        p: Physical error rate; None for the environment's target.
        fits: How the weights came there.
    """

    environment: LoadedEnvironment
    sealed: SealedCandidate
    p: float | None
    fits: Fits


def fitted(package: Package, source: DecodingSource, problem: Problem, registry: Registry) -> Fitted:
    """Bring a round to what is decoded.

    Args:
        package: The round.
        source: What is decoded.
        problem: The same, compiled.
        registry: Installed plugins.

    Raises:
        AutoQECError: It does not fit; the message says why.
    """
    sealed = package.sealed
    here = source.decoded_by(package.environment.environment.decoder)
    trained_on = bound_to(sealed.weights)
    if not trained_on or problem.fingerprint in trained_on:
        return Fitted(here, sealed, source.p, "trained")
    own = build_problem(package.environment, registry.maker("code"))
    if same_problem(own, problem):  # the same mechanisms in another order: the candidate keeps its own order
        return Fitted(package.environment, sealed, None, "trained")
    carried = SealedCandidate(sealed.files, carried_over(sealed.weights, problem.fingerprint))
    if own.structure == problem.structure:
        return Fitted(here, carried, source.p, "rate")
    if binds_family(sealed.weights):
        return Fitted(here, carried, source.p, "family")
    raise UsageError(
        f"{package.name} was trained for {package.environment.name} ({_size(own)}), and its weights fit no other problem"
        f" ({_size(problem)} here)",
        hint="weights of stages with sharing: orbit fit the other sizes and rates of their code",
        code="weights_of_another_problem",
    )


def fits_of(named: TrainedDecoder, source: DecodingSource, problem: Problem, registry: Registry) -> str:
    """How a round's weights come to a problem; empty if they do not fit, which its process says with the reason."""
    try:
        return fitted(named.package, source, problem, registry).fits
    except AutoQECError:
        return ""


def _size(problem: Problem) -> str:
    return f"{problem.num_detectors} detectors, {len(problem.mechanisms)} mechanisms"


class TrainedProcess:
    """A round in processes of its own; a `DecoderProcess`.

    Args:
        named: The round.
        source: What it decodes.
        problem: The same, compiled.
        registry: Installed plugins.

    Attributes:
        fits: How its weights came to this problem; None if they do not fit.
    """

    def __init__(self, named: TrainedDecoder, source: DecodingSource, problem: Problem, registry: Registry):
        self._problem = problem
        self._matcher: Matcher | None = None
        self._state: Ready | DecoderFault | None = None
        self._asked = 0
        self.fits: Fits | None = None
        try:
            found = fitted(named.package, source, problem, registry)
        except AutoQECError as error:
            self._state = DecoderFault("unusable", error.problem, error.hint or "")
            return
        self.fits = found.fits
        self._matcher = Matcher(found.environment.to_blobs() | found.sealed.to_blobs(), found.p)

    def ready(self) -> Ready | DecoderFault:
        """See `DecoderProcess.ready`."""
        if self._state is None:
            assert self._matcher is not None
            try:
                self._matcher.wait(self._problem.observable_bytes)
                self._state = Ready(0.0)
            except AutoQECError as error:
                self._fail(error, loading=True)
        assert self._state is not None
        return self._state

    def decode(
        self, syndromes: np.ndarray, progress: Callable[[int], None] = lambda done: None
    ) -> Answers | DecoderFault:
        """See `DecoderProcess.decode`."""
        state = self.ready()
        if isinstance(state, DecoderFault):
            return state
        assert self._matcher is not None
        self._matcher.progress = lambda part: progress(int(part * len(syndromes)))
        try:
            return self._through(self._matcher, syndromes)
        except AutoQECError as error:
            return self._fail(error, loading=False)

    def choose(self, syndromes: np.ndarray, sample: int) -> Answers | DecoderFault:
        """See `DecoderProcess.choose`; a round does not."""
        return DecoderFault("unusable", "a round does not choose shots for other decoders")

    def measure(self, syndromes: np.ndarray, seconds: float) -> DecodingTime | DecoderFault:
        """See `DecoderProcess.measure`; times are those of gate, candidate and decoder, with the way between their processes."""
        state = self.ready()
        if isinstance(state, DecoderFault):
            return state
        matcher = self._matcher
        assert matcher is not None
        try:
            return measure(lambda part: self._through(matcher, part).seconds, syndromes, seconds)
        except AutoQECError as error:
            return self._fail(error, loading=False)

    def _through(self, matcher: Matcher, syndromes: np.ndarray) -> Answers:
        """Gate, candidate and decoder, in batches as the judge cuts them, so that sizes tell the candidate nothing."""
        sent, seconds = np.ones(len(syndromes), dtype=bool), 0.0
        split = None
        if not matcher.has_candidate:
            known, seconds = matcher.known(syndromes, False)
            return Answers(known[""], seconds)
        if matcher.gated:
            split, took = matcher.gate(syndromes)
            sent, seconds = split.sent, took["plain"] + took["gate"]
        asked = np.ascontiguousarray(syndromes[sent])
        self._asked += 1
        parts = []
        for batch in batches(sent, self._asked):
            decoded, took = matcher.candidate(asked[batch])
            parts.append(decoded)
            seconds += took["predict"] + took["decode"]
        if split is not None and not parts:
            return Answers(split.answer, seconds)
        width = self._problem.observable_bytes
        observables = np.concatenate([np.zeros((0, width), dtype=np.uint8), *(part.observables for part in parts)])
        invalid = np.concatenate([np.zeros(0, dtype=bool), *(part.invalid for part in parts)])
        whole = Decoded(observables, invalid)
        return Answers(whole if split is None else split.filled(whole), seconds)

    def _fail(self, error: AutoQECError, *, loading: bool) -> DecoderFault:
        kind = error.reason if isinstance(error, CandidateFault) else ""
        refused = loading and (isinstance(error, UsageError) or error.code.startswith("weights_"))
        reason: Reason = _REASONS.get(kind, "unusable" if refused else "exception" if not kind else "crash")
        if error.code == "out_of_memory":
            reason = "out_of_memory"
        if error.code in ("decoder_time", "no_answer"):
            reason = "hang"
        self._state = DecoderFault(reason, error.problem, error.hint or "")
        if self._matcher is not None:
            self._matcher.close()
        return self._state

    def close(self) -> None:
        """See `DecoderProcess.close`."""
        if self._matcher is not None:
            self._matcher.close()

    def __enter__(self) -> TrainedProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
