"""The process of one round, as whoever starts it sees it; `autoqec.loop.serve_round` is the other end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import IO

from autoqec.loop.round_request import RoundRequest
from autoqec.sandbox.channel import Channel, ChannelClosed, Message
from autoqec.sandbox.child import end_group, plain

#: Called with each message of a process, and with None once it says no more; from a thread of its own.
Heard = Callable[[Message | None], None]

#: Seconds in which a process ends that was told to, or has closed its streams; then it is killed.
_GRACE = 60.0

#: The last bytes of standard error that explain how a process ended.
_TAIL = 4096


class RoundProcess:
    """A running process. It keeps the user's environment, because agents find their keys there.

    Args:
        request: The round.
        heard: Told what it says.
    """

    def __init__(self, request: RoundRequest, heard: Heard):
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "autoqec.loop.serve_round"],  # -P: nothing is imported from the lab's folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,  # Ctrl-C of the terminal is for this process alone, which then ends the others
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
        with contextlib.suppress(ChannelClosed):  # it has ended; the thread hears how
            self._channel.send(request.to_message())
        self._thread = threading.Thread(target=self._hear, args=(heard,), daemon=True)
        self._thread.start()

    def _hear(self, heard: Heard) -> None:
        try:
            while True:
                heard(self._channel.receive(most_bytes=0))
        except (ChannelClosed, OSError, ValueError):
            heard(None)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def stop(self) -> None:
        """Tell it to end what it does; its round stays open."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> str:
        """Wait until it has ended, and say how: its status or signal, and its last line of standard error."""
        try:
            status = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._thread.join(_GRACE)  # it reads to the end of what was said
        end_group(self._process)
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - _TAIL))
        lines = [line for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        self._stderr.close()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return how + (f": {plain(lines[-1])}" if lines else "")
