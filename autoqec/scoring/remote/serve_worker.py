"""A worker over its standard streams: `python -m autoqec.scoring.remote.serve_worker`, or `autoqec worker`.

It greets first, then runs one task at a time, in a child process. It ends when its standard input does, so whatever carries
these streams ends it by closing them.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from functools import partial
from types import FrameType

from autoqec.sandbox.channel import Channel, ChannelClosed
from autoqec.sandbox.child import settle
from autoqec.sandbox.typed_messages import Request
from autoqec.scoring.remote.greeting_here import greeting_here, sandbox_level
from autoqec.scoring.remote.task_host import TaskHost
from autoqec.scoring.remote.worker_frames import SIGN_SECONDS, FromWorker, ToWorker


class _Server:
    """One worker: a thread that reads what it is told, one that runs tasks, and one that gives signs of life."""

    def __init__(self, channel: Channel):
        self._channel = channel
        self._asked: queue.SimpleQueue[ToWorker | None] = queue.SimpleQueue()
        self._running: int | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._host = TaskHost(lambda name, seconds: self._say(FromWorker(op="compiling", name=name, seconds=seconds)))

    def serve(self) -> None:
        """Greet, and serve until the other end closes."""
        threads = [threading.Thread(target=each, daemon=True) for each in (self._run_tasks, self._give_signs)]
        try:
            self._say(greeting_here(sandbox_level()))
            for thread in threads:
                thread.start()
            while True:
                self._hear(ToWorker.from_message(self._channel.receive()))
        except ChannelClosed:
            return
        finally:
            self._ended.set()
            self._asked.put(None)
            self._host.close()

    def _hear(self, told: ToWorker) -> None:
        if told.op == "ask":
            self._asked.put(told)
            return
        with self._lock:
            if self._running == told.number:
                self._host.stop()

    def _run_tasks(self) -> None:
        while (told := self._asked.get()) is not None:
            with self._lock:
                self._running = number = told.number
            frame = self._host.run(told.frame, partial(self._say_progress, number))
            with self._lock:
                self._running = None
            if self._ended.is_set():
                return  # it was not the task that failed
            self._say(FromWorker(op="answer", number=number, frame=frame))

    def _say_progress(self, number: int, part: object) -> None:
        if isinstance(part, int | float) and not isinstance(part, bool):
            self._say(FromWorker(op="progress", number=number, part=float(part)))

    def _give_signs(self) -> None:
        while not self._ended.wait(SIGN_SECONDS):
            self._say(FromWorker(op="alive"))

    def _say(self, what: Request) -> None:
        with contextlib.suppress(ChannelClosed):  # the thread that reads sees the end
            self._channel.send(what.to_message())


def _end(number: int, frame: FrameType | None) -> None:
    """End, and the children with their folders too. The first process of a container is not ended by a signal that it ignores."""
    signal.signal(number, signal.SIG_IGN)  # a second one would leave them behind
    raise SystemExit(128 + number)


def main() -> None:
    """Serve the standard streams."""
    channel = settle(0)
    signal.signal(
        signal.SIGTERM, _end
    )  # `settle` ignores it, for children whose parent decides; this process has no parent here
    _Server(channel).serve()


if __name__ == "__main__":
    main()
