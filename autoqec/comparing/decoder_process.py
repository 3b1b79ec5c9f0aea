"""A decoder in a process of its own: compile it, decode batches, and whatever it does instead as a value.

Foreign code never shares a process with the true observables, the key of the shots or their seeds: it is sent syndromes. An
exception, a wrong array, a hang, a crash or a print is the decoder's own failure, and the caller goes on with the others.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from autoqec.comparing.decoder_names import InstalledDecoder, SinterBuiltIn
from autoqec.comparing.decoder_serving import DecodeRequest, OpenRequest
from autoqec.comparing.decoding_source import DecodingSource
from autoqec.decoding.decoder_contract import Decoded
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.problem.problem import Problem
from autoqec.results.decoder_comparison import DecodingTime
from autoqec.results.note_form import Malformed, read_record
from autoqec.sandbox.channel import ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import Child, ChildFailed
from autoqec.scoring.gated_references import Chosen
from autoqec.scoring.reference_runs import GateCounts

#: Seconds in which a decoder's process may run or sleep without a word: while it loads and compiles, and for a slice of shots,
#: which is small where decoding is slow. They only have to catch a hang; its wait for a processor does not count.
COMPILE_SECONDS = 600.0
SLICE_SECONDS = 300.0

#: Why a decoder gives no answers.
#: `unusable`: it refuses this problem, or does not fit it. `exception`: it raised. `bad_answer`: what it returned is no answer.
#: `hang`: no progress within its limit. `crash`: its process ended. `out_of_memory`.
Reason = Literal["unusable", "exception", "bad_answer", "hang", "crash", "out_of_memory"]

#: Codes of errors that say by themselves why.
_CODES: dict[str, Reason] = {"bad_answer": "bad_answer", "out_of_memory": "out_of_memory"}

#: Errors in making a decoder that are the user's: an unknown field, no such class.
_USAGE = {"UsageError": UsageError, "NotFoundError": NotFoundError}


@dataclass(frozen=True)
class DecoderFault:
    """Why a decoder gives no answers; the end of it, but not of what it is compared with.

    Attributes:
        reason: What kind of failure it is.
        problem: What happened, in a sentence.
        hint: What to do about it; empty if nothing is known.
        file, line: Where in the decoder's code, if that is known.
    """

    reason: Reason
    problem: str
    hint: str = ""
    file: str = ""
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; what is not known is left out."""
        place = {"file": self.file, "line": self.line} if self.file else {}
        return {"reason": self.reason, "problem": self.problem} | ({"hint": self.hint} if self.hint else {}) | place


@dataclass(frozen=True)
class Ready:
    """A decoder that is compiled; `seconds` of its own process for that and its first call."""

    seconds: float


@dataclass(frozen=True)
class Answers:
    """A decoder's answers to a batch.

    Attributes:
        decoded: The answers.
        seconds: What it took for them, without the way to its process and back.
        chosen: The shots that decoders behind its gate decode, if it was asked.
        gate: What it decoded behind the gate of another one; None if it decoded all.
    """

    decoded: Decoded
    seconds: float
    chosen: Chosen | None = None
    gate: GateCounts | None = None


class DecoderProcess(Protocol):
    """A decoder in a process of its own. It starts when it is made; close it, or use it as a context manager."""

    def ready(self) -> Ready | DecoderFault:
        """Wait until it is compiled. After a fault every further answer is the same fault.

        Raises:
            UsageError, NotFoundError: It cannot be made as it was named, such as with an unknown field.
        """
        ...

    def decode(
        self, syndromes: np.ndarray, progress: Callable[[int], None] = lambda done: None
    ) -> Answers | DecoderFault:
        """Decode a batch.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.
            progress: Called with the shots that are decoded, now and then.
        """
        ...

    def choose(self, syndromes: np.ndarray, sample: int) -> Answers | DecoderFault:
        """Decode a batch, and choose the shots that decoders behind its gate decode: those that it is least sure of.

        Args:
            syndromes: As for `decode`.
            sample: Seed of the sample of other shots that they decode too.
        """
        ...

    def measure(self, syndromes: np.ndarray, seconds: float) -> DecodingTime | DecoderFault:
        """Measure how long it takes; see `autoqec.comparing.timing.measure`."""
        ...

    def close(self) -> None:
        """End the process and all that it started."""
        ...


class PluginProcess:
    """An installed decoder, or one of sinter's, in a process of its own.

    Args:
        named: The decoder.
        source: What it decodes.
        problem: The same, compiled; only its sizes are used here.
        compile_seconds, slice_seconds: See the module.
    """

    def __init__(
        self,
        named: InstalledDecoder | SinterBuiltIn,
        source: DecodingSource,
        problem: Problem,
        *,
        compile_seconds: float = COMPILE_SECONDS,
        slice_seconds: float = SLICE_SECONDS,
    ):
        self._named = named
        self._limits = compile_seconds, slice_seconds
        self._child = Child("autoqec.comparing.decoder_serving:serve")
        self._open(source, problem)

    def _open(self, source: DecodingSource, problem: Problem) -> None:
        named = self._named
        self._problem = problem
        self._state: Ready | DecoderFault | None = None
        built_in = isinstance(named, SinterBuiltIn)
        request = OpenRequest(
            environment=dict(source.loaded.files),
            kind=source.kind,
            name=source.name,
            p=source.p,
            decoder=named.name if isinstance(named, SinterBuiltIn) else named.choice.kind,
            fields={} if isinstance(named, SinterBuiltIn) else named.choice.fields,
            built_in=built_in,
            folders=python_path(),
        )
        try:
            self._child.tell(request.to_message())
        except AutoQECError as error:
            self._state = _fault(error, "loading", 0.0)
        except BaseException:
            self._child.kill()
            raise

    def turn_to(self, source: DecodingSource, problem: Problem) -> bool:
        """Have the same process compile the decoder for another problem; loading a decoder takes seconds.

        Args:
            source: What it decodes from now on.
            problem: The same, compiled.

        Returns:
            Whether it does. A process that has failed, or was never ready, does not: start another one.
        """
        if not isinstance(self._state, Ready):
            return False
        self._open(source, problem)
        return True

    def ready(self) -> Ready | DecoderFault:
        """See `DecoderProcess.ready`."""
        if self._state is None:
            limit, made = self._limits[0], False
            try:
                self._child.answer(limit, 0)
                made = True
                self._state = Ready(float(self._child.answer(limit, 0).fields["seconds"]))
            except ChildFailed as error:
                kind = _USAGE.get(error.kind)
                if not made and kind is not None:
                    raise kind(error.problem, hint=error.hint, code=error.code, about=error.about) from error
                self._state = _fault(error, "compiling", limit)
            except (ChannelClosed, ChannelTimeout) as error:
                self._state = _fault(error, "compiling" if made else "loading", limit)
            except (KeyError, TypeError, ValueError) as error:
                self._state = _malformed(error)
            if isinstance(self._state, DecoderFault):
                self._child.end()
        return self._state

    def decode(
        self, syndromes: np.ndarray, progress: Callable[[int], None] = lambda done: None
    ) -> Answers | DecoderFault:
        """See `DecoderProcess.decode`."""
        state = self.ready()
        if isinstance(state, DecoderFault):
            return state
        found = self._decode(syndromes, progress)
        return self._ended_by(found) if isinstance(found, DecoderFault) else found

    def _ended_by(self, fault: DecoderFault) -> DecoderFault:
        """Keep a fault as the answer to everything from now on, and end the process."""
        self._state = fault
        self._child.end()
        return fault

    def _decode(self, syndromes: np.ndarray, progress: Callable[[int], None]) -> Answers | DecoderFault:
        shots, width = len(syndromes), self._problem.observable_bytes
        done = 0
        try:
            self._child.tell(DecodeRequest(syndromes=np.ascontiguousarray(syndromes).tobytes()).to_message())
            while "done" in (message := self._child.answer(self._limits[1], 2 * shots * (width + 1))).fields:
                done = min(int(message.fields["done"]), shots)
                progress(done)
            return _answers(message, shots, width)
        except (ChildFailed, ChannelClosed, ChannelTimeout) as error:
            return _fault(error, f"decoding, at shot {done:,} of {shots:,}", self._limits[1])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            return _malformed(error)

    def choose(self, syndromes: np.ndarray, sample: int) -> Answers | DecoderFault:
        """See `DecoderProcess.choose`."""
        state = self.ready()
        if isinstance(state, DecoderFault):
            return state
        shots, width = len(syndromes), self._problem.observable_bytes
        try:
            data = np.ascontiguousarray(syndromes).tobytes()
            self._child.tell(DecodeRequest(syndromes=data, choose=True, sample=sample).to_message())
            message = self._child.answer(self._limits[1], shots * (width + 1 + 2 * 8))
            plain = _answers(message, shots, width)
            sent, sampled = (_places(message.blobs[name], shots) for name in ("sent", "sampled"))
            return Answers(plain.decoded, plain.seconds, Chosen(plain.decoded, sent, sampled))
        except (ChildFailed, ChannelClosed, ChannelTimeout) as error:
            fault = _fault(error, f"choosing among {shots:,} shots", self._limits[1])
        except (KeyError, TypeError, ValueError) as error:
            fault = _malformed(error)
        return self._ended_by(fault)

    def measure(self, syndromes: np.ndarray, seconds: float) -> DecodingTime | DecoderFault:
        """See `DecoderProcess.measure`."""
        state = self.ready()
        if isinstance(state, DecoderFault):
            return state
        try:
            shots = np.ascontiguousarray(syndromes).tobytes()
            self._child.tell(DecodeRequest(syndromes=shots, measure=seconds).to_message())
            message = self._child.answer(self._limits[1] + seconds, 0)
            return read_record(DecodingTime, message.fields["time"])
        except (ChildFailed, ChannelClosed, ChannelTimeout) as error:
            fault = _fault(error, "while it was measured", self._limits[1] + seconds)
        except (KeyError, TypeError, ValueError, Malformed) as error:
            fault = _malformed(error)
        return self._ended_by(fault)

    def close(self) -> None:
        """See `DecoderProcess.close`."""
        self._child.kill()

    def __enter__(self) -> PluginProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _answers(message: Message, shots: int, width: int) -> Answers:
    """The answers in a message; its sizes are checked, because the process runs foreign code.

    Raises:
        KeyError, ValueError, TypeError: It holds something else.
    """
    observables = np.frombuffer(message.blobs["observables"], dtype=np.uint8).reshape(shots, width)
    told = np.frombuffer(message.blobs["invalid"], dtype=np.uint8).reshape(shots)
    return Answers(Decoded(observables, told != 0), float(message.fields["seconds"]))


def _places(data: bytes, shots: int) -> np.ndarray:
    """Places of shots, in order.

    Raises:
        ValueError: They are not.
    """
    places = np.frombuffer(data, dtype=np.int64)
    if len(places) and (places[0] < 0 or places[-1] >= shots or (np.diff(places) <= 0).any()):
        raise ValueError("these are no places of shots")
    return places


def _malformed(error: Exception) -> DecoderFault:
    return DecoderFault("crash", f"its process sent a message that is no answer: {type(error).__name__}")


def _fault(error: AutoQECError, doing: str, limit: float) -> DecoderFault:
    """A fault from what a child reported, or from how it ended."""
    if isinstance(error, ChannelTimeout):
        return DecoderFault("hang", f"no progress within {limit:g} s in which its process ran or slept, {doing}")
    hint, about = error.hint or "", error.about
    if isinstance(error, ChannelClosed):
        # A library in C++ that gets no memory ends the process, and says so last.
        full = "bad_alloc" in error.problem or about.get("signal") == signal.Signals.SIGKILL.name
        return DecoderFault("out_of_memory" if full else "crash", f"{error.problem}, {doing}", hint)
    kind = error.kind if isinstance(error, ChildFailed) else ""
    refused = kind in ("UsageError", "MissingPackageError", "NotFoundError") and doing == "compiling"
    reason: Reason = _CODES.get(error.code, "unusable" if refused else "exception")
    file, line = about.get("file"), about.get("line")
    if isinstance(file, str) and isinstance(line, int):
        return DecoderFault(reason, error.problem, hint, file, line)
    return DecoderFault(reason, error.problem, hint)


def python_path() -> tuple[str, ...]:
    """The folders of PYTHONPATH, absolute; children start without it in another folder, and a decoder's module may be there."""
    return tuple(
        os.path.abspath(folder or ".") for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder
    )
