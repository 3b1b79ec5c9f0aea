"""The matcher: the process between judge and candidate. It decodes, and receives syndromes only.

It compiles the environment's decoders, holds the candidate's process, turns beliefs into predictions, and answers the judge with
predicted observables. It contains hostile beliefs, meant to break or slow a decoder: if this process dies or hangs over them,
that is the candidate's failure. It never knows the true observables.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Literal

import numpy as np

from autoqec.candidate_paths import GATE_FILE
from autoqec.decoding.compile_decoder import compile_decoder, compile_references
from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder, Decoded
from autoqec.decoding.flipping import HardFlip
from autoqec.decoding.gate_file import read_gate
from autoqec.decoding.gating import Gating, Split, open_gate
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import Choice, environment_from_files
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_chunk
from autoqec.sandbox.channel import Channel, ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import Child, ChildFailed
from autoqec.sandbox.lock import Lock, SandboxUnavailable
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.stage_files import needs_lock, stage_kinds, stages_to_warm_up
from autoqec.scoring.candidate_workers import Workers
from autoqec.scoring.executor_contract import blobs_with_prefix
from autoqec.scoring.gated_references import Chosen, choose, decode_chosen, runs_behind_gate
from autoqec.scoring.plain_answers import PlainAnswers, PlainStore
from autoqec.scoring.predictor import OUT_OF_MEMORY, CandidateFault, Predictor, Recorded, fault_from, settle_beliefs
from autoqec.scoring.scoring_requests import DecoderSetRequest, DecodingRequest
from autoqec.scoring.slices import Note, decode_in_slices

#: Seconds in which the matcher's process may run or sleep without a word: between two steps of loading, and for a slice of shots,
#: which is small where decoding is slow. They only have to catch a hang. Its wait for a processor does not count. While it waits
#: for the candidate, which has a limit of its own, it says so.
_LOAD_SECONDS = 600.0
_SLICE_SECONDS = 300.0

#: Seconds between two words of the matcher about one decoder, at least.
_WORD_SECONDS = 0.2

#: Address space of the matcher's process. The largest honest use measured is 0.8 GiB (bb144_depol with everything loaded).
MEMORY_BYTES = 8 * 2**30

#: What a process that runs recorded operations warms up with: a stage that uses a little of everything.
_METERED = ('{"kind": "custom"}',)

#: Shots on which the recorded operations of a gated candidate are counted before any is scored: those that are sent on among the
#: shots of so many seeds, at most so many. They have more fired detectors than others, so work that depends on these counts.
_COUNTED_SEEDS, _COUNTED_SHOTS = range(1, 9), 1024

#: Errors of the matcher's process that keep their class on the way to the judge.
_KINDS = {"UsageError": UsageError, "NotFoundError": NotFoundError, "SandboxUnavailable": SandboxUnavailable}

#: What helps against a decoder that is too slow.
_SLOW = (
    "give the environment's file a faster decoder, fewer iterations of it, or fewer `references`, and start a new run:"
    " autoqec round --new"
)

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

    Attributes:
        looked: Of each reference, when `known` last ran it: its `seconds` and, if it ran behind a gate, `sent`, `sampled` and
            `differing` (see `autoqec.scoring.gated_references`).
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
    ):
        self._open_meter, self._gating, self._note = meter, gating, note
        self.gated_references, self.looked = gated_references, dict[str, dict[str, float]]()
        self._plain_seconds = 0.0  # of a shot, as the baseline took when it was last measured
        self._meter: Predictor | None = None
        self.problem, self.baseline, self.references = problem, baseline, dict(references)
        self.predictor, self.backend, self.missing = predictor, backend, dict(missing)

    def known(self, syndromes: np.ndarray, with_references: bool, sample: int = 0) -> tuple[dict[str, Decoded], float]:
        """Answers of the trusted decoders: the baseline, under the empty name, and the references; `looked` says more of these.

        Args:
            syndromes: Of a whole chunk.
            with_references: Whether the references decode them too.
            sample: Seed of the sample of shots on which a slow reference is compared with the plain decoder.

        Returns:
            Their answers, and the seconds of the baseline.
        """
        plain, seconds = self.baseline.timed(syndromes)
        self._plain_seconds = seconds / max(1, len(syndromes))
        found, told = {"": plain}, dict[str, dict[str, float]]()
        chosen: Chosen | None = None
        for name, decoder in self.references.items() if with_references else ():
            began = time.perf_counter()
            decode = partial(self._decode, f"reference {name}", decoder)
            if name in self.gated_references and isinstance(self.baseline, ConfidentDecoder):
                chosen = chosen or choose(self.baseline, syndromes, sample)
                found[name], told[name] = decode_chosen(chosen, syndromes, decode)
            else:
                found[name], told[name] = decode(syndromes), {}
            told[name]["seconds"] = time.perf_counter() - began
        self.looked = told
        return found, seconds

    def _decode(
        self, what: str, decoder: CompiledDecoder, syndromes: np.ndarray, beliefs: np.ndarray | None = None
    ) -> Decoded:
        shots = len(syndromes)
        return decode_in_slices(decoder, syndromes, beliefs, lambda done: self._note(what, done, shots))

    def neutral(self, syndromes: np.ndarray) -> Decoded:
        """The decoder's answers to uninformative beliefs: the problem's own priors, in every shot."""
        priors = np.repeat(self.problem.priors_llr[None], len(syndromes), axis=0)
        settle_beliefs(priors, self.problem.priors_llr)
        return self._decode("the environment's decoder on uninformative beliefs", self.backend, syndromes, priors)

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
        plain = min(seconds, self._plain_seconds * len(syndromes))
        flops = self._gating.short_bp_flops * split.tried
        return split, {"plain": plain, "gate": seconds - plain, "flops": flops}

    def candidate(self, syndromes: np.ndarray) -> tuple[Decoded, dict[str, float]]:
        """The candidate's answers, the seconds of candidate and decoder, and the candidate's processor seconds.

        What a gate holds back is not among the shots. A candidate of a gate alone answers the others plainly.
        """
        if self.predictor is None:
            plain = self._decode("the environment's decoder", self.baseline, syndromes)
            return plain, {"predict": 0.0, "decode": 0.0, "cpu": 0.0}
        began, spent = time.perf_counter(), self.predictor.cpu_seconds
        beliefs, invalid = self.predictor.predict(syndromes)
        predicted, spent = time.perf_counter(), self.predictor.cpu_seconds - spent
        decoded = self._decode(_ON_BELIEFS, self.backend, syndromes, beliefs)
        seconds = {"predict": predicted - began, "decode": time.perf_counter() - predicted, "cpu": spent}
        return Decoded(decoded.observables, decoded.invalid | invalid), seconds

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
            return self.predictor.cost() | {"params": sealed.parameters()}
        counted = self.meter.cost(self._counted())
        loading = round(1000 * self.predictor.loading_cpu_seconds)
        return counted | {"params": sealed.parameters(counted["constants"]), "loading_cpu_ms": loading}

    def _counted(self) -> np.ndarray | None:
        """Shots on which the recorded operations are counted before any is scored; None for the sample that the meter draws."""
        if self._gating is None:
            return None
        found = np.zeros((0, self.problem.syndrome_bytes), dtype=np.uint8)
        for seed in _COUNTED_SEEDS:
            shots = sample_chunk(self.problem, seed).syndromes
            found = np.concatenate([found, shots[self._gating.split(shots).sent]])
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
        """Answers by the candidate's recorded operations, their FLOPs per shot on these shots, and their processor seconds."""
        meter = self.meter
        meter.wait()
        spent = meter.cpu_seconds
        beliefs, invalid = meter.predict(syndromes)
        spent = meter.cpu_seconds - spent
        decoded = self._decode(_ON_BELIEFS, self.backend, syndromes, beliefs)
        counted = meter.cost(syndromes)
        return Decoded(decoded.observables, decoded.invalid | invalid), {"cpu": spent} | counted


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
) -> DecoderSet:
    """Build everything.

    Args:
        blobs, p, strong: See `Matcher`.
        resources: Ends the candidate's process on exit.
        workers: Provides that process; None to make a provider that ends with `resources`.
        note: Told what is being done, and how far it is.
        store: Where plain answers are kept from one candidate to the next; None for a store of its own.
        ungated: Whether no reference runs behind a gate.

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
            predictor = resources.enter_context(start())
    note("compiling the decoders", 0, 0)
    plain = compile_decoder(environment.decoder, problem, registry)
    told = f"{problem.fingerprint} {environment.decoder.model_dump_json()}"
    baseline = PlainAnswers(plain, store or PlainStore(), told, note)
    references, missing, gated = _references(environment.references, strong, ungated, problem, registry)
    backend = plain
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
    if predictor is not None:
        output = predictor.wait()
        if output.mode == "hard_flip":
            backend = HardFlip(plain, problem, output.threshold)
        elif not registry.get("decoder", environment.decoder.kind).capabilities.get("takes_beliefs"):
            raise UsageError(
                f"decoder {environment.decoder.kind!r} takes no per-shot beliefs, so soft_priors cannot reach it",
                hint="set output.yaml's mode to hard_flip",
            )
        predictor.predict(blank)
        # Not on the candidate's answer: a failure over hostile beliefs must happen where the candidate is blamed for it.
        backend.decode(blank, np.ascontiguousarray(problem.priors_llr[None], dtype=np.float32))
    meter = None
    if locked:

        def meter(recorded: Recorded) -> Predictor:
            return resources.enter_context(start(locked=True, stages=_METERED + stages, recorded=recorded))

    return DecoderSet(problem, baseline, references, predictor, backend, missing, meter, gating, note, gated)


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


def _limit_memory() -> None:
    """Raise this process's soft limit to `MEMORY_BYTES`. The hard limit stays; a child has its own limit."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


@contextmanager
def _within_memory(fault: Callable[[str], AutoQECError]) -> Iterator[None]:
    """Convert running out of memory to an error that blames the right party."""
    try:
        yield
    except MemoryError as error:
        raise fault(f"it takes more than {MEMORY_BYTES / 2**30:g} GiB of memory") from error


def _candidates(problem: str) -> CandidateFault:
    return CandidateFault("crash", f"decoding the candidate's beliefs failed: {problem}", code=OUT_OF_MEMORY)


def _ours(problem: str) -> AutoQECError:
    return AutoQECError(f"the decoders' process failed: {problem}")


def serve(channel: Channel) -> None:
    """The matcher's process. First message: a `DecoderSetRequest`, answered by `{"ready", "lock", "missing"}`. Others may follow.

    Before any answer there may be frames `{"doing", "done", "shots"}`.
    Then a `DecodingRequest` `known`, `neutral`, `gate`, `candidate` or `recorded` is answered by blobs `observables:<name>` and
    `invalid:<name>` and field `seconds`, `gate` also by a blob `sent`; `cost` as `DecoderSet.cost` says.
    """
    _limit_memory()
    note, store = _sender(channel), PlainStore()
    request = channel.receive()
    with Workers() as workers:
        while True:
            with ExitStack() as resources:
                wanted = DecoderSetRequest.from_message(request)
                with _within_memory(_ours):
                    decoders = open_decoder_set(
                        request.blobs,
                        wanted.p,
                        wanted.strong,
                        resources,
                        workers,
                        note,
                        store,
                        ungated=wanted.ungated,
                    )
                lock = decoders.predictor.lock if decoders.predictor else None
                channel.send(
                    Message({"ready": True, "lock": lock.to_dict() if lock else None, "missing": decoders.missing})
                )
                while "op" in (request := channel.receive()).fields:
                    asked = DecodingRequest.from_message(request)
                    with _within_memory(_candidates if asked.op in ("candidate", "recorded") else _ours):
                        answer = _reply(decoders, asked, wanted.sealed)
                    channel.send(answer)
                spare = decoders.predictor.release() if decoders.predictor else None
                if spare is not None:
                    workers.give_back(spare)


def _sender(channel: Channel) -> Note:
    """Sends frames `{"doing", "done", "shots"}`: one for each thing that begins, and not too many about one."""
    last, doing = -math.inf, ""

    def send(what: str, done: int, shots: int) -> None:
        nonlocal last, doing
        if what != doing or time.monotonic() >= last + _WORD_SECONDS:
            channel.send(Message({"doing": what, "done": done, "shots": shots}))
            last, doing = time.monotonic(), what

    return send


def _reply(decoders: DecoderSet, request: DecodingRequest, sealed: SealedCandidate) -> Message:
    if request.op == "cost":
        return Message(decoders.cost(sealed))
    syndromes = np.frombuffer(request.syndromes, dtype=np.uint8).reshape(-1, decoders.problem.syndrome_bytes)
    seconds: Any
    looked: dict[str, dict[str, float]] = {}
    blobs: dict[str, bytes] = {}
    if request.op == "known":
        answers, seconds = decoders.known(syndromes, request.references, request.sample)
        looked = decoders.looked
    elif request.op == "neutral":
        answers, seconds = {"": decoders.neutral(syndromes)}, 0.0
    elif request.op == "gate":
        split, seconds = decoders.gate(syndromes)
        answers, blobs["sent"] = {"": split.answer}, np.ascontiguousarray(split.sent, dtype=bool).tobytes()
    elif request.op == "recorded":
        decoded, seconds = decoders.recorded(syndromes)
        answers = {"": decoded}
    else:
        decoded, seconds = decoders.candidate(syndromes)
        answers = {"": decoded}
    for name, decoded in answers.items():
        blobs[f"observables:{name}"] = np.ascontiguousarray(decoded.observables, dtype=np.uint8).tobytes()
        blobs[f"invalid:{name}"] = np.ascontiguousarray(decoded.invalid, dtype=bool).tobytes()
    return Message({"seconds": seconds, "looked": looked}, blobs)


class Matcher:
    """The judge's side of a matcher; use as a context manager.

    Args:
        blobs: `env:<name>` (the environment's files), `file:<path>` and `weights` (the sealed candidate).
        p: Physical error rate; None for the environment's target.
        strong: A reference decoder, by kind, instead of those of the environment; None for these.
        ungated: Whether no reference runs behind a gate.

    Attributes:
        progress: Called with what part of the shots of a request one decoder has done.
        looked: See `DecoderSet`.
    """

    def __init__(
        self, blobs: Mapping[str, bytes], p: float | None = None, strong: str | None = None, *, ungated: bool = False
    ):
        self.progress: Callable[[float], None] = lambda part: None
        self.looked: Mapping[str, Mapping[str, float]] = {}
        self._doing = "loading"
        self._child = Child("autoqec.scoring.matcher:serve")
        try:
            self.open(blobs, p, strong, ungated=ungated)
        except BaseException:
            self._child.kill()
            raise

    def open(
        self, blobs: Mapping[str, bytes], p: float | None = None, strong: str | None = None, *, ungated: bool = False
    ) -> None:
        """Load another candidate or problem instead, once loading has finished; arguments as above."""
        self.gated = f"file:{GATE_FILE}" in blobs
        self.has_candidate = self.gated or any(name.startswith("file:stages/") for name in blobs)
        self._observable_bytes = 0
        self._ready: Mapping[str, Any] | None = None
        wanted = DecoderSetRequest(
            environment=blobs_with_prefix("env:", blobs),
            sealed=SealedCandidate.from_blobs(blobs),
            p=p,
            strong=strong,
            ungated=ungated,
        )
        self._child.tell(wanted.to_message())

    def wait(self, observable_bytes: int) -> Lock | None:
        """Wait until everything is loaded.

        Args:
            observable_bytes: Bytes of a shot's packed observables.

        Returns:
            The layers around the candidate's process; None where it runs unlocked, or there is none.

        Raises:
            CandidateFault: The candidate cannot be loaded.
            AutoQECError: Something else cannot.
        """
        self._observable_bytes = observable_bytes
        if self._ready is None:
            self._ready = self._exchange(None, _LOAD_SECONDS, blame=False).fields
        lock = self._ready["lock"]
        return Lock.from_dict(lock) if lock else None

    @property
    def missing(self) -> Mapping[str, str]:
        """After loading: the references left out, and the commands that install them, by label."""
        return dict(self._ready["missing"]) if self._ready else {}

    def known(self, syndromes: np.ndarray, with_references: bool, sample: int = 0) -> tuple[dict[str, Decoded], float]:
        """See `DecoderSet.known`.

        Raises:
            AutoQECError: A decoder failed.
        """
        message = self._ask("known", syndromes, blame=False, references=with_references, sample=sample)
        names = [name.partition(":")[2] for name in message.blobs if name.startswith("observables:")]
        self.looked = message.fields["looked"]
        return {name: self._decoded(message, name, len(syndromes)) for name in names}, message.fields["seconds"]

    def gate(self, syndromes: np.ndarray) -> tuple[Split, Mapping[str, float]]:
        """See `DecoderSet.gate`.

        Raises:
            AutoQECError: The decoder failed.
        """
        message = self._ask("gate", syndromes, blame=False)
        sent = np.frombuffer(message.blobs["sent"], dtype=bool)
        return Split(self._decoded(message, "", len(syndromes)), sent), message.fields["seconds"]

    def candidate(self, syndromes: np.ndarray) -> tuple[Decoded, Mapping[str, float]]:
        """See `DecoderSet.candidate`.

        Raises:
            CandidateFault: The candidate broke its contract, or the matcher died or hung over its beliefs.
        """
        message = self._ask("candidate", syndromes, blame=True)
        return self._decoded(message, "", len(syndromes)), message.fields["seconds"]

    def recorded(self, syndromes: np.ndarray) -> tuple[Decoded, Mapping[str, float]]:
        """See `DecoderSet.recorded`.

        Raises:
            CandidateFault: As for `candidate`.
        """
        message = self._ask("recorded", syndromes, blame=True)
        return self._decoded(message, "", len(syndromes)), message.fields["seconds"]

    def neutral(self, syndromes: np.ndarray) -> Decoded:
        """See `DecoderSet.neutral`.

        Raises:
            AutoQECError: A decoder failed.
        """
        return self._decoded(self._ask("neutral", syndromes, blame=False), "", len(syndromes))

    def cost(self) -> dict[str, int]:
        """See `DecoderSet.cost`."""
        fields = self._exchange(DecodingRequest("cost"), _LOAD_SECONDS, blame=True).fields
        return {name: int(value) for name, value in fields.items()}

    def _ask(
        self,
        op: Literal["known", "neutral", "gate", "candidate", "recorded"],
        syndromes: np.ndarray,
        *,
        blame: bool,
        references: bool = False,
        sample: int = 0,
    ) -> Message:
        request = DecodingRequest(op, references, np.ascontiguousarray(syndromes).tobytes(), sample)
        return self._exchange(request, _SLICE_SECONDS, blame=blame)

    def _exchange(self, request: DecodingRequest | None, seconds: float, *, blame: bool) -> Message:
        """The answer to a request, if there is one to send; with `blame`, a death or hang counts as the candidate's fault.

        Args:
            request: The request.
            seconds: Of the process's own time, from one word of it to the next.
            blame: Whose fault a death or hang is.
        """
        try:
            if request is not None:
                self._child.tell(request.to_message())
            while "doing" in (message := self._child.answer(seconds)).fields:
                self._note(message)
            return message
        except ChildFailed as error:
            if (fault := fault_from(error)) is not error:
                raise fault from error
            kind = _KINDS.get(error.kind, AutoQECError)
            raise kind(error.problem, hint=error.hint, code=error.code, about=error.about) from error
        except (ChannelClosed, ChannelTimeout) as error:
            late = self._late(seconds) if isinstance(error, ChannelTimeout) else None
            if not blame:
                raise late or AutoQECError(
                    f"the decoders' process failed: {error.problem}", code=error.code, about=error.about
                ) from error
            # A decoder in C++ that gets no memory ends the process, and says so last.
            code = OUT_OF_MEMORY if "bad_alloc" in error.problem else None
            said = f"decoding the candidate's beliefs failed: {late.problem if late else error.problem}"
            raise CandidateFault("timeout" if late else "crash", said, code=code, about=error.about) from error

    def _note(self, message: Message) -> None:
        """Note what the process is doing, and how far it is."""
        doing, done, shots = (message.fields[name] for name in ("doing", "done", "shots"))
        self._doing = f"{doing}, at shot {done:,} of {shots:,}" if shots else doing
        if shots:
            self.progress(done / shots)

    def _late(self, seconds: float) -> AutoQECError:
        """Why a request has no answer: what hangs or is too slow, and what to do about it."""
        problem = f"no progress within {seconds:.0f} s in which the decoders' process ran or slept: {self._doing}"
        return AutoQECError(problem, hint=_SLOW, code="decoder_time", about={"doing": self._doing, "seconds": seconds})

    def _decoded(self, message: Message, name: str, shots: int) -> Decoded:
        observables = np.frombuffer(message.blobs[f"observables:{name}"], dtype=np.uint8)
        invalid = np.frombuffer(message.blobs[f"invalid:{name}"], dtype=bool)
        return Decoded(observables.reshape(shots, self._observable_bytes), invalid.reshape(shots))

    def close(self) -> None:
        """End the process, and with it the candidate's."""
        self._child.kill()

    def __enter__(self) -> Matcher:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
