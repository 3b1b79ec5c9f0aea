"""The judge's hand in a sweep: draws the shots of a point, has a decoder decode them, and says which of them failed.

It knows the key of the shots and the true observables. The decoder is in a process of its own, which this one starts, and is sent
syndromes. All decoders of a point get the same shots: shot n of a point is fixed by the key, the circuit and n.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from autoqec.comparing.decoder_names import InstalledDecoder, NamedDecoder, SinterBuiltIn, TrainedDecoder
from autoqec.comparing.decoder_process import DecoderFault, DecoderProcess, PluginProcess, python_path
from autoqec.comparing.decoding_source import source_from_environment
from autoqec.comparing.open_processes import open_process
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.exchange.package import Package
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.environment import Choice, LoadedEnvironment
from autoqec.problem.sampling import CHUNK_SHOTS, Shots, sample_chunk
from autoqec.problem.streams import derive_key, derive_seed
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import report_of
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.typed_messages import Request, blobs

#: The domain of the shots of a sweep.
_DOMAIN = "sweep"

#: Chunks that are decoded in one call, at most, and bytes of their syndromes.
_MOST_CHUNKS, _MOST_BYTES = 16, 2**24

#: Before the names of a round's files on their way.
_ENVIRONMENT, _CANDIDATE, _WEIGHTS = "environment:", "candidate:", "weights"


@dataclass(frozen=True, kw_only=True)
class OpenPoint(Request):
    """Have a worker compile a point and start a decoder on it.

    Attributes:
        environment: The environment of the point.
        kind: What kind of decoder it is.
        decoder: The decoder's name or label.
        fields: Its fields.
        trained: Of a round: its files.
        about: Of a round: its name, commit and verdict.
        key: The key of the sweep's shots.
        circuit: SHA-256 of the point's circuit.
        python_path: PYTHONPATH of the command, with absolute folders; children start without it, in another folder.
    """

    environment: LoadedEnvironment
    kind: Literal["installed", "built_in", "trained"]
    decoder: str
    fields: Mapping[str, Any]
    trained: Mapping[str, bytes] = blobs("trained")
    about: tuple[str, ...]
    key: bytes | None
    circuit: str
    python_path: str


@dataclass(frozen=True, kw_only=True)
class CountShots(Request):
    """Have it count the failures of shots `start` to `start + shots` of the point."""

    start: int
    shots: int


def open_request(named: NamedDecoder, environment: LoadedEnvironment, circuit: str, key: bytes) -> OpenPoint:
    """The request that opens a point for a decoder."""
    kind: Literal["installed", "built_in", "trained"] = "installed"
    fields: Mapping[str, Any] = {}
    trained: dict[str, bytes] = {}
    about: tuple[str, ...] = ()
    decoder = named.label
    if isinstance(named, TrainedDecoder):
        kind, package = "trained", named.package
        trained = {f"{_ENVIRONMENT}{name}": data for name, data in package.environment_files.items()}
        trained |= {f"{_CANDIDATE}{name}": data for name, data in package.sealed.files.items()}
        trained |= {_WEIGHTS: package.sealed.weights}
        about = (package.name, package.commit, package.verdict or "")
    elif isinstance(named, SinterBuiltIn):
        kind, decoder = "built_in", named.name
    else:
        decoder, fields = named.choice.kind, named.choice.fields
    return OpenPoint(
        environment=environment,
        kind=kind,
        decoder=decoder,
        fields=fields,
        trained=trained,
        about=about,
        key=key,
        circuit=circuit,
        python_path=os.pathsep.join(python_path()),
    )


def _named(request: OpenPoint) -> NamedDecoder:
    """The decoder that a request names. What only records need, such as its version, is left out."""
    if request.kind == "built_in":
        return SinterBuiltIn(request.decoder, "")
    if request.kind == "installed":
        return InstalledDecoder(Choice(kind=request.decoder, **request.fields), "")
    name, commit, verdict = request.about
    package = Package(
        name,
        commit,
        _under(_ENVIRONMENT, request.trained),
        SealedCandidate(_under(_CANDIDATE, request.trained), request.trained[_WEIGHTS]),
        verdict or None,
    )
    return TrainedDecoder(request.decoder, package)


def _under(prefix: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}


def serve(channel: Channel) -> None:
    """Each `OpenPoint` is answered by `{"ready"}`, each `CountShots` by the blob `failures` and `{"seconds"}`.

    The failures are the places of the shots that failed, uint32, counted from `start`. A decoder that gives no answers is
    answered by `{"fault"}`; a decoder that cannot be made as it was named, by `{"refused"}`, and so is a point that cannot be
    decoded.
    """
    with _Point(load_plugins()) as point:
        while True:
            message = channel.receive()
            if "start" in message.fields:
                channel.send(point.count(CountShots.from_message(message)))
                continue
            request = OpenPoint.from_message(message)
            os.environ["PYTHONPATH"] = request.python_path
            try:
                channel.send(point.open(request))
            except (UsageError, NotFoundError) as error:
                channel.send(Message({"refused": report_of(error)}))


class _Point:
    """A point, and the process of one decoder that decodes it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._process: DecoderProcess | None = None
        self._decoder: object = None
        self._chunk: tuple[int, Shots] | None = None

    def open(self, request: OpenPoint) -> Message:
        """Turn to a point; the answer once the decoder is compiled for it."""
        assert request.key is not None
        source = source_from_environment(request.environment)
        self._problem = source.problem(self._registry)
        self._key, self._chunk = derive_key(request.key, request.circuit), None
        decoder = request.kind, request.decoder, dict(request.fields), dict(request.trained)
        process, self._process = self._process, None
        kept = (
            decoder == self._decoder and isinstance(process, PluginProcess) and process.turn_to(source, self._problem)
        )
        if not kept:
            if process is not None:
                process.close()
            process = open_process(_named(request), source, self._problem, self._registry)
        assert process is not None
        self._process, self._decoder = process, decoder
        state = process.ready()
        return Message({"fault": state.to_dict()} if isinstance(state, DecoderFault) else {"ready": True})

    def count(self, request: CountShots) -> Message:
        """The failures of some shots."""
        assert self._process is not None
        found: list[np.ndarray] = []
        seconds, done = 0.0, 0
        while done < request.shots:
            part = self._shots(request.start + done, request.shots - done)
            answers = self._process.decode(part.syndromes)
            if isinstance(answers, DecoderFault):
                return Message({"fault": answers.to_dict()})
            wrong = (answers.decoded.observables != part.observables).any(axis=1) | answers.decoded.invalid
            found.append(np.flatnonzero(wrong) + done)
            seconds += answers.seconds
            done += len(part)
        failures = np.concatenate([np.zeros(0, np.int64), *found]).astype(np.uint32)
        return Message({"seconds": seconds}, {"failures": failures.tobytes()})

    def _shots(self, start: int, most: int) -> Shots:
        """Shots from a place of the stream on: those of one call."""
        width = max(1, self._problem.syndrome_bytes)
        most = min(most, _MOST_CHUNKS * CHUNK_SHOTS, max(CHUNK_SHOTS, _MOST_BYTES // width))
        parts, place = [], start
        while place < start + most:
            number, offset = divmod(place, CHUNK_SHOTS)
            chunk = self._drawn(number)
            rows = slice(offset, min(CHUNK_SHOTS, offset + start + most - place))
            parts.append(Shots(chunk.syndromes[rows], chunk.observables[rows]))
            place += len(parts[-1])
        if len(parts) == 1:
            return parts[0]
        return Shots(
            np.concatenate([part.syndromes for part in parts]), np.concatenate([part.observables for part in parts])
        )

    def _drawn(self, number: int) -> Shots:
        """A chunk; the last one is kept, because a slow decoder takes it in many parts."""
        if self._chunk is None or self._chunk[0] != number:
            self._chunk = number, sample_chunk(self._problem, derive_seed(self._key, _DOMAIN, number))
        return self._chunk[1]

    def __enter__(self) -> _Point:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.close()


def refusal(report: Mapping[str, Any]) -> AutoQECError:
    """The error in an answer `{"refused"}`."""
    kind = NotFoundError if report.get("kind") == "NotFoundError" else UsageError
    return kind(str(report["error"]), hint=report.get("hint"), code=str(report.get("code") or kind.code))
