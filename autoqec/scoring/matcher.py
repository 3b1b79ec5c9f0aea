"""The matcher: the process between judge and candidate. It decodes, and receives syndromes only.

It holds a `DecoderSet`, which turns syndromes into predictions with the candidate's beliefs, and answers the judge with predicted
observables. It contains hostile beliefs, meant to break or slow a decoder: if this process dies or hangs over them,
that is the candidate's failure. It never knows the true observables.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import numpy as np

from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE
from autoqec.compiled_once import say_compiling
from autoqec.decoding.decoder_contract import Decoded
from autoqec.decoding.gating import Split
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.sandbox.channel import Channel, ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import Child, ChildFailed
from autoqec.sandbox.gpus import limit_memory
from autoqec.sandbox.lock import Lock, SandboxUnavailable
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.candidate_workers import Workers
from autoqec.scoring.decoder_set import DecoderSet, open_decoder_set
from autoqec.scoring.executor_contract import blobs_with_prefix
from autoqec.scoring.plain_answers import PlainStore
from autoqec.scoring.predictor import OUT_OF_MEMORY, CandidateFault, fault_from
from autoqec.scoring.reference_runs import ReferenceRun, runs_from_dict, runs_to_dict
from autoqec.scoring.scoring_requests import DecoderSetRequest, DecodingRequest
from autoqec.scoring.slices import Note

#: Seconds in which the matcher's process may run or sleep without a word: between two steps of loading, and for a slice of shots,
#: which is small where decoding is slow. They only have to catch a hang. Its wait for a processor does not count. While it waits
#: for the candidate, which has a limit of its own, it says so.
_LOAD_SECONDS = 600.0
_SLICE_SECONDS = 300.0

#: Seconds between two words of the matcher about one decoder, at least.
_WORD_SECONDS = 0.2

#: Address space of the matcher's process. The largest honest use measured is 0.8 GiB (bb144_depol with everything loaded).
MEMORY_BYTES = 8 * 2**30

#: Errors of the matcher's process that keep their class on the way to the judge.
_KINDS = {"UsageError": UsageError, "NotFoundError": NotFoundError, "SandboxUnavailable": SandboxUnavailable}

#: What helps against a decoder that is too slow.
_SLOW = (
    "give the environment's file a faster decoder, fewer iterations of it, or fewer `references`, and start a new run:"
    " autoqec round --new"
)


def _limit_memory() -> None:
    """Limit this process to `MEMORY_BYTES`. The hard limit stays; a child has its own limit."""
    limit_memory(MEMORY_BYTES, for_good=False)


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
    `invalid:<name>` and field `seconds`, `gate` also by a blob `sent`; `confidence` by a blob of that name and
    field `kind`; `cost` as `DecoderSet.cost` says.
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
                        device=wanted.device,
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
    if request.op == "confidence":
        kind, confidence = decoders.confidence(syndromes) or ("", np.zeros(0))
        told = np.ascontiguousarray(confidence, dtype=np.float32).tobytes()
        return Message({"kind": kind}, {"confidence": told})
    seconds: Any
    runs: dict[str, ReferenceRun] = {}
    blobs: dict[str, bytes] = {}
    if request.op == "known":
        answers, seconds = decoders.known(syndromes, request.references, request.sample)
        runs = decoders.reference_runs
    elif request.op == "neutral":
        decoded, seconds = decoders.neutral(syndromes)
        answers = {"": decoded}
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
    return Message({"seconds": seconds, "reference_runs": runs_to_dict(runs)}, blobs)


class Matcher:
    """The judge's side of a matcher; use as a context manager.

    Args:
        blobs: `env:<name>` (the environment's files), `file:<path>` and `weights` (the sealed candidate).
        p: Physical error rate; None for the environment's target.
        strong: A reference decoder, by kind, instead of those of the environment; None for these.
        ungated: Whether no reference runs behind a gate.
        device: Where a candidate's stages are computed, see `ScoringTask`.

    Attributes:
        progress: Called with what part of the shots of a request one decoder has done.
        reference_runs: See `DecoderSet`.
    """

    def __init__(
        self,
        blobs: Mapping[str, bytes],
        p: float | None = None,
        strong: str | None = None,
        *,
        ungated: bool = False,
        device: str = "cpu",
    ):
        self.progress: Callable[[float], None] = lambda part: None
        self.reference_runs: Mapping[str, ReferenceRun] = {}
        self._doing = "loading"
        self._child = Child("autoqec.scoring.matcher:serve", compiling=self._compiles)
        try:
            self.open(blobs, p, strong, ungated=ungated, device=device)
        except BaseException:
            self._child.kill()
            raise

    def open(
        self,
        blobs: Mapping[str, bytes],
        p: float | None = None,
        strong: str | None = None,
        *,
        ungated: bool = False,
        device: str = "cpu",
    ) -> None:
        """Load another candidate or problem instead, once loading has finished; arguments as above."""
        self.gated, self.ensembled = (f"file:{path}" in blobs for path in (GATE_FILE, ENSEMBLE_FILE))
        self.has_candidate = self.gated or any(name.startswith("file:stages/") for name in blobs)
        self._observable_bytes = 0
        self._ready: Mapping[str, Any] | None = None
        wanted = DecoderSetRequest(
            environment=blobs_with_prefix("env:", blobs),
            sealed=SealedCandidate.from_blobs(blobs),
            p=p,
            strong=strong,
            ungated=ungated,
            device=device,
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
        self.reference_runs = runs_from_dict(message.fields["reference_runs"])
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

    def confidence(self, syndromes: np.ndarray) -> tuple[str, np.ndarray] | None:
        """See `DecoderSet.confidence`.

        Raises:
            AutoQECError: The decoder failed.
        """
        message = self._ask("confidence", syndromes, blame=False)
        kind = str(message.fields["kind"])
        return (kind, np.frombuffer(message.blobs["confidence"], dtype=np.float32)) if kind else None

    def neutral(self, syndromes: np.ndarray) -> tuple[Decoded, float]:
        """See `DecoderSet.neutral`.

        Raises:
            AutoQECError: A decoder failed.
        """
        message = self._ask("neutral", syndromes, blame=False)
        return self._decoded(message, "", len(syndromes)), message.fields["seconds"]

    def cost(self) -> dict[str, int]:
        """See `DecoderSet.cost`."""
        fields = self._exchange(DecodingRequest("cost"), _LOAD_SECONDS, blame=True).fields
        return {name: int(value) for name, value in fields.items()}

    def _ask(
        self,
        op: Literal["known", "neutral", "gate", "candidate", "recorded", "confidence"],
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

    def _compiles(self, name: str, seconds: float) -> None:
        """Note that the process compiles a kernel: that is where it hangs if no answer comes."""
        self._doing = f"compiling {name}, once, about {seconds:.0f} s"
        say_compiling(name, seconds)

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
