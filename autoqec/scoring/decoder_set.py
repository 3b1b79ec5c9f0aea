"""Decoders and a candidate, ready for one problem: what the matcher's process holds, and how it is built.

`autoqec.scoring.matcher` runs this in a process of its own. Nothing here knows a true observable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial

import numpy as np

from autoqec.decoding.compile_decoder import compile_decoder, compile_references
from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder, Decoded, SharingDecoder
from autoqec.decoding.ensemble import CHOICE_TENSOR, Ensembling, Predict, learned_choice, open_ensemble
from autoqec.decoding.ensemble_file import read_ensemble
from autoqec.decoding.flipping import hard_flip
from autoqec.decoding.gate_file import read_gate
from autoqec.decoding.gating import Gating, Split, open_gate
from autoqec.errors import UsageError
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import Choice, environment_from_files
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_chunk
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.stage_files import needs_lock, stage_kinds, stages_to_warm_up
from autoqec.scoring.candidate_workers import Workers
from autoqec.scoring.executor_contract import blobs_with_prefix
from autoqec.scoring.failure_table import AT_MOST
from autoqec.scoring.gated_references import Chosen, FromLeft, choose, decode_chosen, decode_unsure, runs_behind_gate
from autoqec.scoring.plain_answers import PlainAnswers, PlainStore
from autoqec.scoring.predictor import CandidateFault, Predictor, Recorded, settle_beliefs
from autoqec.scoring.reference_runs import ReferenceRun
from autoqec.scoring.slices import Note, decode_in_slices

#: What a process that runs recorded operations warms up with: a stage that uses a little of everything.
_METERED = ('{"kind": "custom"}',)

#: Shots on which the recorded operations of a gated candidate are counted before any is scored: those that are sent on among the
#: shots of so many seeds, at most so many. They have more fired detectors than others, so work that depends on these counts.
_COUNTED_SEEDS, _COUNTED_SHOTS = range(1, 9), 1024

_ON_BELIEFS = "the environment's decoder on the candidate's beliefs"


def _unheard(what: str, done: int, shots: int) -> None:
    """Nobody asks how far it is."""


class DecoderSet:
    """Decoders and candidate, ready for one problem; what the matcher's process holds.

    Args:
        problem: What is decoded.
        baseline: The environment's decoder.
        references: Others to compare with, by label.
        predictor: The candidate; None for the empty pipeline, which is the baseline itself.
        backend: What decodes the candidate's beliefs.
        missing: References left out, and the lines that install what they need, by label.
        meter: Starts a locked process of ours that runs the candidate's recorded operations; None if it has no code of others.
        gating: The candidate's gate; None for none.
        note: Told what is being decoded, and how far it is.
        gated_references: The labels of those that run behind a gate.
        ensembling: The candidate's ensemble; None for none.

    Attributes:
        reference_runs: What the references took and were run on when `known` last ran them, by label.
    """

    def __init__(
        self,
        problem: Problem,
        baseline: PlainAnswers,
        references: Mapping[str, CompiledDecoder],
        predictor: Predictor | None,
        backend: CompiledDecoder,
        missing: Mapping[str, str],
        meter: Callable[[Recorded], Predictor] | None = None,
        gating: Gating | None = None,
        note: Note = _unheard,
        gated_references: frozenset[str] = frozenset(),
        ensembling: Ensembling | None = None,
    ):
        self._open_meter, self._gating, self._note = meter, gating, note
        self.gated_references, self.reference_runs = gated_references, dict[str, ReferenceRun]()
        self._plain_seconds = 0.0  # of a shot, as the baseline took when it was last measured
        self._meter: Predictor | None = None
        self.problem, self.baseline, self.references = problem, baseline, dict(references)
        self._ensembling = ensembling
        self.predictor, self.backend, self.missing = predictor, backend, dict(missing)

    def known(self, syndromes: np.ndarray, with_references: bool, sample: int = 0) -> tuple[dict[str, Decoded], float]:
        """Answers of the trusted decoders: the baseline, under the empty name, and the references.

        Args:
            syndromes: Of a whole chunk.
            with_references: Whether the references decode them too.
            sample: Seed of the sample of shots on which a slow reference is compared with the plain decoder.

        Returns:
            Their answers, and the seconds of the baseline.
        """
        sharing = self._sharing() if with_references else {}
        left = None
        if sharing:
            plain, seconds, left = self.baseline.shared(syndromes)
        else:
            plain, seconds = self.baseline.timed(syndromes)
        self._plain_seconds = seconds / max(1, len(syndromes))
        found: dict[str, Decoded] = {"": plain}
        runs: dict[str, ReferenceRun] = {}
        chosen: Chosen | None = None
        for name, decoder in self.references.items() if with_references else ():
            began, counts = time.perf_counter(), None
            decode = partial(self._decode, f"reference {name}")
            if name in self.gated_references and isinstance(self.baseline, ConfidentDecoder):
                chosen = chosen or choose(self.baseline, syndromes, sample)
                found[name], counts = decode_chosen(chosen, syndromes, partial(decode, decoder))
            elif name in sharing:
                found[name] = decode_unsure(self.baseline, syndromes, left, partial(decode, FromLeft(sharing[name])))
            else:
                found[name] = decode(decoder, syndromes)
            runs[name] = ReferenceRun(time.perf_counter() - began, counts)
        self.reference_runs = runs
        return found, seconds

    def _sharing(self) -> dict[str, SharingDecoder]:
        """The references that have the first part of the environment's decoder."""
        plain = self.baseline.decoder
        if not isinstance(plain, SharingDecoder):
            return {}
        others = {name: each for name, each in self.references.items() if isinstance(each, SharingDecoder)}
        return {name: each for name, each in others.items() if plain.same_where_sure(each)}

    def _decode(
        self, what: str, decoder: CompiledDecoder, syndromes: np.ndarray, beliefs: np.ndarray | None = None
    ) -> Decoded:
        shots = len(syndromes)
        return decode_in_slices(decoder, syndromes, beliefs, lambda done: self._note(what, done, shots))

    def confidence(self, syndromes: np.ndarray) -> tuple[str, np.ndarray] | None:
        """How sure the environment's decoder is, up to `AT_MOST`, and the kind of that; None if it does not say."""
        if not isinstance(self.baseline, ConfidentDecoder):
            return None
        return self.baseline.confidence_kind, self.baseline.confidence(syndromes, AT_MOST)

    def neutral(self, syndromes: np.ndarray) -> tuple[Decoded, float]:
        """The decoder's answers to uninformative beliefs, the problem's own priors in every shot; and their seconds."""
        began = time.perf_counter()
        priors = np.repeat(self.problem.priors_llr[None], len(syndromes), axis=0)
        settle_beliefs(priors, self.problem.priors_llr)
        decoded = self._decode("the environment's decoder on uninformative beliefs", self.backend, syndromes, priors)
        return decoded, time.perf_counter() - began

    def gate(self, syndromes: np.ndarray) -> tuple[Split, dict[str, float]]:
        """Which shots the candidate's gate sends on, and the answers of the others.

        Returns:
            These; and `plain` and `gate`, the seconds that plain decoding and the gate took, and `flops`, the floating-point
            operations of the gate's own steps on all of the shots.
        """
        assert self._gating is not None
        began, saved = time.perf_counter(), self.baseline.saved
        self._note("the gate", 0, len(syndromes))
        split = self._gating.split(syndromes)
        # Where plain answers were found before, their time counts all the same.
        seconds = time.perf_counter() - began + self.baseline.saved - saved
        # One pass gives plain answers and confidence; plain decoding is what the baseline took for as many shots.
        plain = min(seconds, self._plain_seconds * self._gating.plainly(split))
        flops = self._gating.short_bp_flops * split.tried
        return split, {"plain": plain, "gate": seconds - plain, "flops": flops}

    def candidate(self, syndromes: np.ndarray) -> tuple[Decoded, dict[str, float]]:
        """The candidate's answers, the seconds of candidate and decoder, and the candidate's processor seconds.

        What a gate holds back is not among the shots. A candidate of a gate alone answers the others plainly.
        """
        if self.predictor is None:
            plain = self._decode("the environment's decoder", self.baseline, syndromes)
            return plain, {"predict": 0.0, "decode": 0.0, "cpu": 0.0, "passes": 0}
        began, spent = time.perf_counter(), self.predictor.cpu_seconds
        timed = _Timed(self.predictor)
        decoded, passes = self._through(timed, syndromes)
        spent, took = self.predictor.cpu_seconds - spent, time.perf_counter() - began
        return decoded, {"predict": timed.seconds, "decode": took - timed.seconds, "cpu": spent, "passes": passes}

    def _through(self, predict: Predict, syndromes: np.ndarray) -> tuple[Decoded, int]:
        """The answers of a pipeline and of what decodes its beliefs, and how many times it was asked about a shot, summed."""
        if self._ensembling is not None:
            shots = len(syndromes)
            chosen = self._ensembling.decode(syndromes, predict, lambda done: self._note(_ON_BELIEFS, done, shots))
            return chosen.answer, int(chosen.passes.sum())
        beliefs, invalid = predict(syndromes, None)
        decoded = self._decode(_ON_BELIEFS, self.backend, syndromes, beliefs)
        return Decoded(decoded.observables, decoded.invalid | invalid), len(syndromes)

    def cost(self, sealed: SealedCandidate) -> dict[str, int]:
        """What the candidate costs, by processes without code of others.

        Args:
            sealed: The candidate.

        Returns:
            `flops_per_shot` and `params`; for a candidate with code of others also `constants`, the numbers that it holds besides
            its weights and that are among `params`, and `loading_cpu_ms`. Of a gated candidate `flops_per_shot` is that of
            a shot which is sent on.
        """
        if self.predictor is None:
            return {"flops_per_shot": 0, "params": sealed.parameters()}
        if self._open_meter is None:
            # All its code is ours, so its word on which numbers are labels is ours too.
            told = self.predictor.cost()
            return {"flops_per_shot": told["flops_per_shot"], "params": sealed.parameters() - told["labels"]}
        counted = self._counted_before()
        loading = round(1000 * self.predictor.loading_cpu_seconds)
        return counted | {"params": sealed.parameters(counted["constants"]), "loading_cpu_ms": loading}

    def _counted_before(self) -> dict[str, int]:
        """What the recorded operations take, counted before any shot is scored."""
        shots = self._shots_to_count_on()
        if self._ensembling is None or shots is None:
            return self.meter.cost(shots)
        return self._recorded(shots)[1].mean()

    def _shots_to_count_on(self) -> np.ndarray | None:
        """Shots as they are sent on, for `_counted_before`; None for the sample that the meter draws."""
        if self._gating is None and self._ensembling is None:
            return None
        found = np.zeros((0, self.problem.syndrome_bytes), dtype=np.uint8)
        for seed in _COUNTED_SEEDS:
            shots = sample_chunk(self.problem, seed).syndromes
            sent = self._gating.split(shots).sent if self._gating is not None else np.ones(len(shots), dtype=bool)
            found = np.concatenate([found, shots[sent]])
            if len(found) >= _COUNTED_SHOTS:
                break
        return found[:_COUNTED_SHOTS] if len(found) else None

    @property
    def meter(self) -> Predictor:
        """The candidate's recorded operations in a process of ours; they are recorded when it is first asked for."""
        assert self.predictor is not None
        assert self._open_meter is not None
        if self._meter is None:
            self._meter = self._open_meter(self.predictor.record())
        return self._meter

    def recorded(self, syndromes: np.ndarray) -> tuple[Decoded, dict[str, float]]:
        """Answers by the candidate's recorded operations, their FLOPs per pass about a shot, and their processor seconds."""
        decoded, asked = self._recorded(syndromes)
        return decoded, {"cpu": asked.cpu} | asked.mean()

    def _recorded(self, syndromes: np.ndarray) -> tuple[Decoded, _Counted]:
        self.meter.wait()
        asked = _Counted(self.meter)
        return self._through(asked, syndromes)[0], asked


class _Counted:
    """Asks recorded operations, and counts them on all that they are asked: a pass from other priors may take more of them."""

    def __init__(self, meter: Predictor):
        self._meter, self._flops, self._shots, self._constants = meter, 0, 0, 0
        self.cpu = 0.0

    def __call__(self, syndromes: np.ndarray, priors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        spent = self._meter.cpu_seconds
        found = self._meter.predict(syndromes, priors)
        self.cpu += self._meter.cpu_seconds - spent
        counted = self._meter.cost(syndromes, priors)
        self._flops += counted["flops_per_shot"] * len(syndromes)
        self._shots += len(syndromes)
        self._constants = counted["constants"]
        return found

    def mean(self) -> dict[str, int]:
        """FLOPs of a pass about a shot, as the mean of all, rounded up; and the numbers that the operations hold."""
        return {"flops_per_shot": -(-self._flops // self._shots), "constants": self._constants}


class _Timed:
    """Asks a candidate's process, and adds up the seconds that it takes."""

    def __init__(self, predictor: Predictor):
        self._predictor, self.seconds = predictor, 0.0

    def __call__(self, syndromes: np.ndarray, priors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        began = time.perf_counter()
        found = self._predictor.predict(syndromes, priors)
        self.seconds += time.perf_counter() - began
        return found


def open_decoder_set(
    blobs: Mapping[str, bytes],
    p: float | None,
    strong: str | None,
    resources: ExitStack,
    workers: Workers | None = None,
    note: Note = _unheard,
    store: PlainStore | None = None,
    *,
    ungated: bool = False,
    device: str = "cpu",
) -> DecoderSet:
    """Build everything.

    Args:
        blobs, p, strong: See `Matcher`.
        resources: Ends the candidate's process on exit.
        workers: Provides that process; None to make a provider that ends with `resources`.
        note: Told what is being done, and how far it is.
        store: Where plain answers are kept from one candidate to the next; None for a store of its own.
        ungated: Whether no reference runs behind a gate.
        device: Where the candidate's stages are computed, see `ScoringTask`; on the CPU if it runs locked.

    Raises:
        CandidateFault: The candidate cannot be loaded.
        UsageError, NotFoundError: The environment or a decoder cannot be used.
    """
    registry = load_plugins()
    loaded = environment_from_files(blobs_with_prefix("env:", blobs), origin="the environment")
    problem = build_problem(loaded, registry.maker("code"), p)
    environment = loaded.environment
    sealed = SealedCandidate.from_blobs(blobs)
    workers = workers or resources.enter_context(Workers())
    predictor, locked = None, False
    start = partial(Predictor, sealed, problem, workers=workers, waiting=partial(note, "the candidate", 0, 0))
    kinds: list[str] = []
    stages: tuple[str, ...] = ()
    if any(path.startswith("stages/") for path in sealed.files):
        locked = needs_lock(sealed.files, registry)
        if locked:
            with suppress(UsageError):  # the candidate's own process will report what is wrong with it
                kinds, stages = stage_kinds(sealed.files), stages_to_warm_up(sealed.files, registry)
            workers.expect(problem, kinds)
        else:
            predictor = resources.enter_context(start(device=device))
    note("compiling the decoders", 0, 0)
    plain = compile_decoder(environment.decoder, problem, registry)
    told = f"{problem.fingerprint} {environment.decoder.model_dump_json()}"
    baseline = PlainAnswers(plain, store or PlainStore(), told, note)
    references, missing, gated = _references(environment.references, strong, ungated, problem, registry)
    # Read here, and not asked of the candidate's process, which has no say in it.
    gate = read_gate(sealed.files)
    gating = open_gate(gate, baseline, problem, name=environment.decoder.kind) if gate is not None else None
    # The first call pays for loading and compiling, so it is made here: not timed, and on no real shot.
    blank = np.zeros((1, problem.syndrome_bytes), dtype=np.uint8)
    for name, decoder in {environment.decoder.label: baseline, **references}.items():
        note(f"the first decoding of {name}, which may compile it", 0, 0)
        decoder.decode(blank)
    _warm_gates(baseline, gating, gated, blank)
    if locked:  # only now, since a fork exists only once its parent is warm
        predictor = resources.enter_context(start(locked=True, stages=stages))
    backend, ensembling = plain, None
    if predictor is not None:
        backend = _backend(predictor, plain, problem, environment.decoder.kind, registry)
        ensembling = _ensembling(sealed, backend, problem, environment.decoder.kind)
        predictor.predict(blank)
        # Not on the candidate's answer: a failure over hostile beliefs must happen where the candidate is blamed for it.
        backend.decode(blank, np.ascontiguousarray(problem.priors_llr[None], dtype=np.float32))
        if ensembling is not None:
            ensembling.decode(blank, _untold(problem))
    meter = None
    if locked:

        def meter(recorded: Recorded) -> Predictor:
            return resources.enter_context(start(locked=True, stages=_METERED + stages, recorded=recorded))

    return DecoderSet(
        problem, baseline, references, predictor, backend, missing, meter, gating, note, gated, ensembling
    )


def _backend(
    predictor: Predictor, plain: CompiledDecoder, problem: Problem, kind: str, registry: Registry
) -> CompiledDecoder:
    """What decodes a candidate's beliefs, as its `output.yaml` says, once the candidate is loaded.

    Raises:
        UsageError: It asks for `soft_priors` of a decoder that takes no beliefs.
    """
    output = predictor.wait()
    if output.mode == "hard_flip":
        return hard_flip(plain, problem, output.threshold)
    if not registry.get("decoder", kind).capabilities.get("takes_beliefs"):
        raise UsageError(
            f"decoder {kind!r} takes no per-shot beliefs, so soft_priors cannot reach it",
            hint="set output.yaml's mode to hard_flip",
        )
    return plain


def _ensembling(sealed: SealedCandidate, backend: CompiledDecoder, problem: Problem, kind: str) -> Ensembling | None:
    """The candidate's ensemble, with the coefficients that training learned; None without one.

    Raises:
        CandidateFault: The learned coefficients cannot be used.
        UsageError: The decoder has no solutions to choose among.
    """
    ensemble = read_ensemble(sealed.files)  # read here, as a gate is
    if ensemble is None:
        return None
    try:
        learned = learned_choice(sealed.floats(CHOICE_TENSOR))
    except ValueError as error:
        raise CandidateFault("bad_weights", str(error), code="weights_do_not_fit") from error
    return open_ensemble(ensemble, backend, problem, learned, name=kind)


def _untold(problem: Problem) -> Predict:
    """A pipeline that knows nothing but the priors it starts from."""

    def predict(syndromes: np.ndarray, priors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        start = problem.priors_llr if priors is None else priors
        return np.repeat(start[None], len(syndromes), axis=0), np.zeros(len(syndromes), dtype=bool)

    return predict


def _warm_gates(
    baseline: PlainAnswers, gating: Gating | None, gated_references: frozenset[str], blank: np.ndarray
) -> None:
    """Make the first call of gates, which compiles the confidence, where nothing is timed."""
    if gated_references and isinstance(baseline, ConfidentDecoder):
        choose(baseline, blank, 0)
    if gating is not None:
        gating.split(blank)


def _references(
    choices: Sequence[Choice], strong: str | None, ungated: bool, problem: Problem, registry: Registry
) -> tuple[dict[str, CompiledDecoder], dict[str, str], frozenset[str]]:
    """The reference decoders by label, those left out, and the labels of those that run behind a gate."""
    if strong:  # alone: the others ran on these shots before
        choices = [Choice(kind=strong)]
        compiled, missing = {strong: compile_decoder(choices[0], problem, registry)}, dict[str, str]()
    else:
        compiled, missing = compile_references(choices, problem, registry)
    gated = {choice.label for choice in choices if not ungated and runs_behind_gate(choice, registry)}
    return compiled, missing, frozenset(gated)
