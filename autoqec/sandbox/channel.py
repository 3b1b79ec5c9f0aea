"""Messages between processes: a JSON header and named byte blobs, length-prefixed, over a pair of pipes. Never pickle.

frame = b"AQF1", uint32 header bytes, header (JSON, with "blobs": [[name, bytes], ...]), the blobs one after another
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from autoqec.errors import AutoQECError

_MAGIC = b"AQF1"
_PREFIX = struct.Struct("<4sI")
_MAX_HEADER = 4 * 1024 * 1024

#: No honest message is larger; a forged length is refused before anything is allocated.
MAX_FRAME_BYTES = 1024 * 1024 * 1024


#: Blobs of this many bytes and more are not copied once they are read.
_LARGE = 1024 * 1024

#: Size of the kernel's pipe buffer for such a blob, where it can be set (Linux): sixteen times the default, so the two processes
#: wake each other that much less often.
_PIPE_BYTES = 1024 * 1024


#: Seconds between two looks at the clock of a deadline.
_LOOK_SECONDS = 1.0


class ChannelClosed(AutoQECError):
    """The other process closed its end, or sent something that is not a frame.

    `status` is its exit status as `subprocess` gives it (minus the signal that ended it), if known; `about` has it by name, too.
    `bad_frame` tells the second: it is the reason, however the process ends after that. `said` is what it sent before a frame.
    """

    code = "process_ended"
    said = b""

    def __init__(self, problem: str, *, status: int | None = None, bad_frame: bool = False):
        super().__init__(problem, about=_how(status))
        self.status, self.bad_frame = status, bad_frame


def _how(status: int | None) -> dict[str, Any]:
    if status is None:
        return {}
    return {"signal": signal.Signals(-status).name} if status < 0 else {"exit_status": status}


class ChannelTimeout(AutoQECError):
    """The other process did not finish a frame before the deadline. `said` is what it sent before a frame."""

    code = "no_answer"
    said = b""


def _finite(text: str) -> float:
    """Parse a number of a header. It must be finite: no other number may reach a note or a comparison."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


@dataclass(frozen=True)
class Message:
    """A JSON-able mapping and named byte strings; large ones, once received, are the receiver's own bytearrays."""

    fields: Mapping[str, Any]
    blobs: Mapping[str, bytes] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The message as one frame, for what carries bytes and has no stream."""
        return b"".join(_frame_parts(self))

    @staticmethod
    def from_bytes(frame: bytes) -> Message:
        """The inverse of `to_bytes`.

        Raises:
            ChannelClosed: These bytes are not one frame.
        """
        end = _PREFIX.size
        try:
            magic, length = _PREFIX.unpack_from(frame)
            if magic != _MAGIC or length > _MAX_HEADER:
                raise ValueError("it has no such prefix")
            header, sizes = _read_header(frame[end : end + length])
        except (*_BAD_HEADER, struct.error) as error:
            raise ChannelClosed("the answer is not a frame", bad_frame=True) from error
        end, blobs = end + length, {}
        for name, size in sizes:
            blobs[name], end = bytes(frame[end : end + size]), end + size
        if end != len(frame) or any(size < 0 for _, size in sizes):
            raise ChannelClosed("the answer is not a whole frame", bad_frame=True)
        return Message(header, blobs)


#: What reading a header raises that is not one; the last where it is nested too deeply.
_BAD_HEADER = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def _read_header(encoded: bytes) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """The fields of a header, and the names and sizes of the blobs that follow it; raises one of `_BAD_HEADER`."""
    header = json.loads(encoded, parse_float=_finite, parse_constant=_finite)
    return header, [(str(name), int(size)) for name, size in header.pop("blobs")]


def _frame_parts(message: Message) -> tuple[bytes, ...]:
    """A message as the parts of its frame, which are not joined: blobs may be large."""
    header = dict(message.fields) | {"blobs": [[name, len(data)] for name, data in message.blobs.items()]}
    encoded = json.dumps(header, allow_nan=False).encode()
    return _PREFIX.pack(_MAGIC, len(encoded)), encoded, *message.blobs.values()


@dataclass(frozen=True)
class _Deadline:
    """The deadline of a frame on a clock that may stand still, so it is looked at again and again."""

    at: float
    clock: Callable[[], float]
    waiting: Callable[[], None]

    def wait(self, read_fd: int) -> None:
        """Wait until there is something to read.

        Raises:
            ChannelTimeout: The deadline passed.
        """
        if select.select([read_fd], [], [], 0)[0]:
            return  # the clock may cost a system call; who sends slowly is looked at whenever nothing has come
        while (left := self.at - self.clock()) > 0:
            if select.select([read_fd], [], [], min(left, _LOOK_SECONDS))[0]:
                return
            self.waiting()
        raise ChannelTimeout("no complete answer before the deadline")


class Channel:
    """One end of a pair of pipes.

    Args:
        read_fd: Descriptor to read from.
        write_fd: Descriptor to write to.
    """

    def __init__(self, read_fd: int, write_fd: int):
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._widened = False
        self._found_frame = False
        self._sending = threading.Lock()  # what is compiled is told from any thread

    @property
    def descriptors(self) -> tuple[int, int]:
        """The descriptors for reading and writing."""
        return self._read_fd, self._write_fd

    def send(self, message: Message) -> None:
        """Write one frame.

        Raises:
            ChannelClosed: The other end is closed.
        """
        parts = _frame_parts(message)
        try:
            with self._sending:
                for part in parts:
                    view = memoryview(part)
                    while view:
                        view = view[os.write(self._write_fd, view) :]
        except (BrokenPipeError, OSError) as error:
            raise ChannelClosed(f"the other process is gone: {error.strerror}") from error

    def receive(
        self,
        timeout: float | None = None,
        most_bytes: int = MAX_FRAME_BYTES,
        *,
        clock: Callable[[], float] = time.monotonic,
        waiting: Callable[[], None] | None = None,
        aside: Callable[[Message], bool] = lambda message: False,
    ) -> Message:
        """Read one frame.

        Args:
            timeout: Seconds for the whole frame: one deadline, so that a slow sender cannot hold the reader.
            most_bytes: Limit on the bytes of blobs, if you know how long an honest answer is. More is an error.
            clock: What counts these seconds.
            waiting: Called about once a second while nothing comes.
            aside: Whether a frame is dealt with and another one has to be read, before the same deadline.

        Raises:
            ChannelClosed: End of file, or bytes that are not a frame.
            ChannelTimeout: The deadline passed.
        """
        deadline = None
        if timeout is not None or waiting is not None:
            at = math.inf if timeout is None else clock() + timeout
            deadline = _Deadline(at, clock, waiting or (lambda: None))
        while aside(message := self._frame(deadline, most_bytes)):
            pass
        return message

    def skip_to_frame(self, timeout: float, most_bytes: int) -> bytes:
        """Read what comes before the first frame, such as the greeting of a login shell; `receive` reads the frame.

        Args:
            timeout: Seconds until the frame begins.
            most_bytes: How much may come before it.

        Returns:
            What came before it, as far as it was read.

        Raises:
            ChannelClosed: End of file, or no frame begins within these bytes; its `said` is what came.
            ChannelTimeout: The deadline passed; `said` as well.
        """
        deadline, said = _Deadline(time.monotonic() + timeout, time.monotonic, lambda: None), bytearray()
        try:
            while not said.endswith(_MAGIC):
                if len(said) > most_bytes:
                    raise ChannelClosed("the other process sent something that is not a frame", bad_frame=True)
                said += self._exactly(1, deadline)
        except (ChannelClosed, ChannelTimeout) as error:
            error.said = bytes(said)
            raise
        self._found_frame = True
        return bytes(said[: -len(_MAGIC)])

    def _frame(self, deadline: _Deadline | None, most_bytes: int) -> Message:
        begun, self._found_frame = (_MAGIC if self._found_frame else b""), False
        magic, length = _PREFIX.unpack(begun + self._exactly(_PREFIX.size - len(begun), deadline))
        if magic != _MAGIC or length > _MAX_HEADER:
            raise ChannelClosed("the other process sent something that is not a frame", bad_frame=True)
        try:
            header, sizes = _read_header(self._exactly(length, deadline))
        except _BAD_HEADER as error:
            raise ChannelClosed("the other process sent a malformed header", bad_frame=True) from error
        if any(size < 0 for _, size in sizes) or sum(size for _, size in sizes) > most_bytes:
            raise ChannelClosed("the other process announced more bytes than any message has", bad_frame=True)
        return Message(header, {name: self._exactly(size, deadline) for name, size in sizes})

    def _widen(self) -> None:
        """Enlarge the pipe's buffer. Only readers of large blobs do this, because the kernel limits the total per user."""
        self._widened = True
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._read_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def _exactly(self, count: int, deadline: _Deadline | None) -> bytes:
        if count >= _LARGE and not self._widened:
            self._widen()
        buffer = bytearray(count)
        view = memoryview(buffer)
        filled = 0
        while filled < count:
            if deadline is not None:
                deadline.wait(self._read_fd)
            got = os.readv(self._read_fd, [view[filled:]])
            if got == 0:
                raise ChannelClosed("the other process ended before it answered")
            filled += got
        # No copy: the buffer of a large blob is not shared, and copying tens of megabytes takes as long as receiving them.
        return bytes(buffer) if count < _LARGE else cast("bytes", buffer)
