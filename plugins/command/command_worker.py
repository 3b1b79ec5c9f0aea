"""One worker over the standard streams of a command."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from functools import partial

from autoqec.compiled_once import say_compiling
from autoqec.installed_package import __version__
from autoqec.sandbox.channel import Channel, ChannelClosed, ChannelTimeout
from autoqec.sandbox.child import end_group, plain
from autoqec.sandbox.typed_messages import BadMessage
from autoqec.scoring.executor_contract import Progress
from autoqec.scoring.remote.worker_frames import SILENT_SECONDS, FromWorker, ToWorker
from autoqec.scoring.remote.worker_greeting import WorkerGreeting, greeting_from
from autoqec.scoring.remote.worker_link import WorkerLost

#: Bytes that a login shell may print before the worker's first frame.
_MOST_BEFORE = 64 * 1024

#: Bytes of standard error that are read to explain an end, and seconds in which a command that was asked to end does so.
_TAIL = 4096
_END_SECONDS = 5.0

#: Lines of what it said last that are shown.
_LINES_SHOWN = 2

#: What shells and programs that start others exit with if the program is not there.
_NOT_FOUND = 127


class CommandWorker:
    """A `RemoteWorker` that a command started. One thread calls `greet`, `serve` and `close`; others `ask` and `end`.

    Args:
        name: As the user knows it.
        argv: The command.
        env: Its environment variables.
        folder: Where it starts.

    Raises:
        OSError: The command cannot be started.
    """

    greeting: WorkerGreeting

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], folder: str):
        self.name, self.answered, self._ended = name, 0, False
        # A file: a command that floods its standard error must not block.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  `close` closes it
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=env,
                cwd=folder,
                start_new_session=True,
            )
        except OSError:
            self._stderr.close()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
        self._to_send: queue.SimpleQueue[ToWorker | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send, name=f"autoqec-to-{name}", daemon=True)
        self._lock = threading.Lock()
        self._asked: dict[int, tuple[Future[bytes], Progress | None]] = {}
        self._number = 0
        self._lost: str | None = None
        self._killer = threading.Timer(_END_SECONDS, self._signal, [signal.SIGKILL])
        self._killer.daemon = True
        self._sender.start()

    def greet(self, seconds: float) -> None:
        """Wait for the worker's greeting.

        Raises:
            ForeignWorker: It is of another version, or something else.
            WorkerLost: The command ended before, or it was silent for so long.
        """
        try:
            self._channel.skip_to_frame(seconds, _MOST_BEFORE)
            self.greeting = greeting_from(self._channel.receive(seconds), __version__)
        except (ChannelClosed, ChannelTimeout) as error:
            late = f"no worker greeted within {seconds:g} seconds" if isinstance(error, ChannelTimeout) else ""
            raise WorkerLost(self._explained(late or "it ended before it greeted", error.said)) from error

    def serve(self) -> str | None:
        """Take what the worker says until it ends, and say why it did; None if it was ended from here."""
        try:
            while True:
                self._hear(FromWorker.from_message(self._channel.receive(SILENT_SECONDS)))
        except ChannelTimeout:
            why = f"it said nothing for {SILENT_SECONDS:g} seconds"
        except ChannelClosed as error:
            why = error.problem if error.bad_frame else self._explained("the connection ended", b"")
        except BadMessage as error:
            why = error.problem
        except Exception as error:  # whatever it says, who waits for it hears that it is lost
            why = f"what it said cannot be used: {type(error).__name__}"
        with self._lock:
            # Whoever asked ends a worker that it finds lost, so this is looked at before anybody finds out.
            from_here, self._lost, open_ones = self._ended, why, list(self._asked.values())
            self._asked.clear()
        for future, _ in open_ones:
            _settle(partial(future.set_exception, WorkerLost(why)))
        return None if from_here else why

    def _hear(self, said: FromWorker) -> None:
        if said.op == "compiling":
            say_compiling(plain(said.name), said.seconds)
        elif said.op == "progress":
            _, progress = self._asked.get(said.number, (None, None))
            if progress is not None:
                progress(said.part)
        elif said.op == "answer":
            with self._lock:
                future, _ = self._asked.pop(said.number, (None, None))
            if future is not None:  # else it answers what nobody waits for, which is no sign that it works
                self.answered += 1
                _settle(partial(future.set_result, said.frame))

    def ask(self, frame: bytes, progress: Progress | None) -> Future[bytes]:
        """See `autoqec.scoring.remote.worker_link.RemoteWorker.ask`."""
        future: Future[bytes] = Future()
        with self._lock:
            if self._lost is not None:
                raise WorkerLost(self._lost)
            self._number += 1
            number = self._number
            self._asked[number] = (future, progress)
        self._to_send.put(ToWorker(op="ask", number=number, frame=frame))
        future.add_done_callback(lambda done: self._stop(number) if done.cancelled() else None)
        return future

    def _stop(self, number: int) -> None:
        with self._lock:
            self._asked.pop(number, None)
        self._to_send.put(ToWorker(op="stop", number=number))

    def _send(self) -> None:
        """Send what waits: a slow connection must not hold up who asks."""
        with contextlib.suppress(ChannelClosed):  # the thread that reads sees the end
            while (told := self._to_send.get()) is not None:
                self._channel.send(told.to_message())

    def end(self) -> None:
        """See `autoqec.scoring.remote.worker_link.RemoteWorker.end`."""
        with self._lock:
            first, self._ended = not self._ended, True
        if first:
            self._signal(signal.SIGTERM)
            self._killer.start()  # what ignores that would be served for as long as it gives signs of life

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, number)

    def close(self) -> None:
        """End the command and close its streams."""
        self._killer.cancel()
        if self._killer.is_alive():
            self._killer.join()
        self._signal(signal.SIGTERM)
        self._ended_by_itself(_END_SECONDS)
        self._signal(signal.SIGKILL)
        self._to_send.put(None)
        self._sender.join(_END_SECONDS)
        end_group(self._process)
        self._stderr.close()

    def _ended_by_itself(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _explained(self, why: str, said: bytes) -> str:
        """Why it ended, with its exit status and the last line that it said."""
        status = self._ended_by_itself(_END_SECONDS) if "within" not in why else None
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _TAIL))
        said = (
            self._stderr.read() or said
        )  # a login shell greets on standard output; what fails says so on standard error
        lines = [plain(line.strip()) for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        last = "; ".join(lines[-_LINES_SHOWN:])
        how = "" if status is None else f" with exit status {status}" if status >= 0 else f" by signal {-status}"
        hint = (
            '; set worker to where AutoQEC is there: "/path/there/bin/autoqec worker"' if status == _NOT_FOUND else ""
        )
        return f"{why}{how}{f': {last}' if last else ''}{hint}"


def _settle(settle: partial[None]) -> None:
    with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
        settle()
