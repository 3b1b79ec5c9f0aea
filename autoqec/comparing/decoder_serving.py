"""The child's side of a decoder in a process of its own: it makes the decoder, compiles it, decodes, and is measured.

It receives syndromes only. What the decoder prints goes to this process's standard error (`autoqec.sandbox.child`), and what it
returns is checked here and once more by its parent.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autoqec.comparing.timing import measure, on_one_core
from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder, Decoded
from autoqec.errors import AutoQECError, UsageError
from autoqec.plugin_errors import Owner, one_line, origin
from autoqec.plugins import Registration, Registry, load_plugins
from autoqec.problem.environment import Choice, LoadedEnvironment, environment_from_files
from autoqec.problem.problem import Problem
from autoqec.results.note_form import write_record
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import go_first
from autoqec.sandbox.typed_messages import Request, blobs
from autoqec.scoring.gated_references import choose
from autoqec.scoring.slices import in_slices, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Shots that are drawn to warm up, and how many of these are decoded.
_WARM_UP_DRAWN, _WARM_UP_SHOTS = 64, 4

#: Seconds between two words about how far the decoder is.
_WORD_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class OpenRequest(Request):
    """Have a process make and compile a decoder.

    Attributes:
        environment: What is decoded, as `DecodingSource.loaded`.
        kind, name, p: See `DecodingSource`.
        decoder: The decoder's name.
        fields: Its fields.
        built_in: Whether it is one of sinter's.
        folders: Where Python looks for modules besides the installed ones, as PYTHONPATH says.
    """

    environment: Mapping[str, bytes] = blobs("env")
    kind: Literal["circuit", "dem", "environment"]
    name: str
    p: float | None
    decoder: str
    fields: Mapping[str, Any]
    built_in: bool
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DecodeRequest(Request):
    """Have it decode a batch.

    Attributes:
        syndromes: Bit-packed, row-major.
        measure: For how many seconds to measure its times on these shots instead; 0 to decode them.
        choose: Whether it also chooses the shots that decoders behind its gate decode.
        sample: Seed of the sample of other shots that they decode too.
    """

    syndromes: bytes
    measure: float = 0.0
    choose: bool = False
    sample: int = 0


class BadAnswer(AutoQECError):
    """A decoder returned something that is no answer."""

    code = "bad_answer"


def serve(channel: Channel) -> None:
    """First message: an `OpenRequest`, answered by `{"made"}` and, once compiled, by `{"ready", "seconds"}`.

    Then each `DecodeRequest` is answered by blobs `observables` and `invalid` and by `seconds`, or, where it asks to measure, by
    `time`; where it asks to choose, there are blobs `sent` and `sampled`, too. Before an answer there may be frames `{"done"}`,
    the shots that are decoded. A further `OpenRequest` has the decoder made and compiled again, for another problem.
    """
    go_first()
    registry: Registry | None = None
    message = channel.receive()
    while True:
        request = OpenRequest.from_message(message)
        sys.path += [folder for folder in request.folders if folder not in sys.path]
        registry = registry or load_plugins()
        message = _serve_problem(channel, request, registry)


def _serve_problem(channel: Channel, request: OpenRequest, registry: Registry) -> Message:
    """Compile the decoder for one problem, and answer what is asked; the first message that opens another one."""
    made = _Made.of(request, registry)
    channel.send(Message({"made": True}))
    problem = _problem(request, registry)
    began = time.perf_counter()
    with _blamed(made.owner):
        compiled: CompiledDecoder = made.decoder.compile(problem)
        for shots in _to_warm_up(problem):
            checked(compiled.decode(shots), len(shots), problem.num_observables)
    channel.send(Message({"ready": True, "seconds": time.perf_counter() - began}))
    while "decoder" not in (message := channel.receive()).fields:
        asked = DecodeRequest.from_message(message)
        if asked.measure > 0:
            channel.send(_measured(compiled, problem, made.owner, asked))
        elif asked.choose:
            channel.send(_chosen(compiled, problem, made.owner, asked))
        else:
            _answer(channel, compiled, problem, made.owner, asked)
    return message


def _to_warm_up(problem: Problem) -> tuple[np.ndarray, ...]:
    """Batches for the first calls, which may compile kernels and must not be timed: shots of this process's own.

    A quiet shot takes a shorter way in many decoders, so those with the most fired detectors are taken.
    """
    drawn, _, _ = problem.dem.compile_sampler(seed=0).sample(_WARM_UP_DRAWN, bit_packed=True)
    fired = np.unpackbits(drawn, axis=1).sum(axis=1)
    loud = np.ascontiguousarray(drawn[np.argsort(-fired.astype(np.int64), kind="stable")[:_WARM_UP_SHOTS]])
    return loud[:1], loud


def _problem(request: OpenRequest, registry: Registry) -> Problem:
    from autoqec.comparing.decoding_source import DecodingSource

    loaded: LoadedEnvironment = environment_from_files(request.environment, origin=request.name)
    return DecodingSource(request.kind, request.name, loaded, request.p).problem(registry)


@dataclass(frozen=True)
class _Made:
    """A decoder that is not compiled yet, and who is to blame for what it raises."""

    decoder: Any
    owner: Owner

    @staticmethod
    def of(request: OpenRequest, registry: Registry) -> _Made:
        if request.built_in:
            return _Made(_BuiltIn(request.decoder), Owner(request.decoder, "sinter"))
        choice = Choice(kind=request.decoder, **request.fields)
        entry: Registration = registry.get("decoder", choice.kind)
        with _blamed(entry.owner):
            return _Made(entry.create(**choice.fields), entry.owner)


class _BuiltIn:
    """One of sinter's built-in decoders, as a decoder of ours."""

    def __init__(self, name: str) -> None:
        self._name = name

    def compile(self, problem: Problem) -> CompiledDecoder:
        import sinter

        from autoqec.decoding.sinter_adapter import CompiledForeign

        return CompiledForeign(sinter.BUILT_IN_DECODERS[self._name], problem, name=self._name)


def _answer(
    channel: Channel, compiled: CompiledDecoder, problem: Problem, owner: Owner, request: DecodeRequest
) -> None:
    syndromes = np.frombuffer(request.syndromes, dtype=np.uint8).reshape(-1, problem.syndrome_bytes)
    last = time.monotonic()

    def note(done: int) -> None:
        nonlocal last
        if time.monotonic() >= last + _WORD_SECONDS:
            channel.send(Message({"done": done}))
            last = time.monotonic()

    def decode(piece: slice) -> Decoded:
        part = syndromes[piece]
        return checked(compiled.decode(part), len(part), problem.num_observables)

    with _blamed(owner):
        began = time.perf_counter()
        decoded = joined(in_slices(decode, len(syndromes), note))
        seconds = time.perf_counter() - began
    channel.send(Message({"seconds": seconds}, _blobs(decoded)))


def _measured(compiled: CompiledDecoder, problem: Problem, owner: Owner, request: DecodeRequest) -> Message:
    syndromes = np.frombuffer(request.syndromes, dtype=np.uint8).reshape(-1, problem.syndrome_bytes)

    def timed(part: np.ndarray) -> float:
        began = time.perf_counter()
        compiled.decode(part)
        return time.perf_counter() - began

    with _blamed(owner), on_one_core():
        return Message({"time": write_record(measure(timed, syndromes, request.measure))})


def _chosen(compiled: CompiledDecoder, problem: Problem, owner: Owner, request: DecodeRequest) -> Message:
    """Plain answers, and which shots decoders behind the gate decode; see `autoqec.scoring.gated_references`."""
    syndromes = np.frombuffer(request.syndromes, dtype=np.uint8).reshape(-1, problem.syndrome_bytes)
    if not isinstance(compiled, ConfidentDecoder):
        raise UsageError("the decoder does not say how sure it is, so it cannot choose shots for others")
    with _blamed(owner):
        began = time.perf_counter()
        chosen = choose(compiled, syndromes, request.sample)
        checked(chosen.plain, len(syndromes), problem.num_observables)
        seconds = time.perf_counter() - began
    places = {"sent": chosen.sent, "sampled": chosen.sampled}
    answer = {name: np.ascontiguousarray(each, dtype=np.int64).tobytes() for name, each in places.items()}
    return Message({"seconds": seconds}, answer | _blobs(chosen.plain))


def _blobs(decoded: Decoded) -> dict[str, bytes]:
    return {
        "observables": np.ascontiguousarray(decoded.observables).tobytes(),
        "invalid": np.ascontiguousarray(decoded.invalid).tobytes(),
    }


def checked(decoded: Any, shots: int, observables: int) -> Decoded:
    """What a decoder returned, if it is an answer.

    Args:
        decoded: Anything.
        shots: How many shots it was asked about.
        observables: How many there are.

    Raises:
        BadAnswer: It is no `Decoded` of the right types and shapes, or flips observables that there are not.
    """
    width = (observables + 7) // 8
    if not isinstance(decoded, Decoded):
        raise BadAnswer(f"decode must return autoqec.decoding.Decoded, not {type(decoded).__name__}")
    wanted = {"observables": ((shots, width), np.uint8), "invalid": ((shots,), np.bool_)}
    for name, (shape, dtype) in wanted.items():
        found = getattr(decoded, name)
        if not isinstance(found, np.ndarray) or found.dtype != dtype or found.shape != shape:
            told = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
            raise BadAnswer(f"{name} must be {np.dtype(dtype)} {shape}, not {told}")
    # Such a bit would count as a failure of every shot.
    if observables % 8 and (decoded.observables[:, -1] >> (observables % 8)).any():
        raise BadAnswer(f"observables has bits set after the last of {observables:,}")
    return decoded


@contextmanager
def _blamed(owner: Owner) -> Iterator[None]:
    """Add to an error of the decoder the file and line that it is from."""
    try:
        yield
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:
        place = _place(error, owner)
        about = {"file": place[0], "line": place[1]} if place else {}
        if isinstance(error, AutoQECError):
            error.about |= about
            raise
        where = f" ({os.path.basename(place[0])}, line {place[1]})" if place else ""
        raise AutoQECError(f"{one_line(error)}{where}", code="raised", about=about) from error


def _place(error: BaseException, owner: Owner) -> tuple[str, int] | None:
    """The innermost place outside AutoQEC that an error, or what it was made of, passed; None if there is none."""
    cause: BaseException | None = error
    found = None
    while cause is not None:
        found = origin(cause, owner) or found
        cause = cause.__cause__
    return (found.file, found.line) if found else None
