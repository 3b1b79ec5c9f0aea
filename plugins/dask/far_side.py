"""What runs in the process of a Dask worker: it passes frames to child processes, one for each task at a time.

A task runs in a child, so that what it holds (seeds, true observables, decoders) is not in a process that unpickles what others
send. Children are kept for the next task, and end when they have been idle for a while.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from distributed import get_worker

from autoqec.sandbox.channel import Channel
from autoqec.sandbox.child import Child
from autoqec.scoring.remote.greeting_here import greeting_here, sandbox_level
from autoqec.scoring.remote.task_host import TaskHost

#: Seconds after which an idle child ends.
_IDLE_SECONDS = 120.0

#: Seconds between two looks at which tasks Dask has cancelled, and which children are idle.
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class _Running:
    """A task of this process: Dask's worker, Dask's name of the task, and who runs it."""

    worker: Any
    key: str
    host: TaskHost

    def is_cancelled(self) -> bool:
        """Whether nobody waits for it: Dask ends no thread, but its own state says what it has cancelled."""
        task = self.worker.state.tasks.get(self.key)
        return task is None or task.state == "cancelled"


class Hosts:
    """The task hosts of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[float, TaskHost]] = []  # since when
        self._running: set[_Running] = set()
        self._looking = False

    @contextlib.contextmanager
    def host_for(self, worker: Any) -> Iterator[TaskHost]:
        """A host for the task of this thread; its child ends if Dask cancels that task."""
        with self._lock:
            host = self._idle.pop()[1] if self._idle else TaskHost(compiling=_unsaid)
            running = _Running(worker, worker.get_current_task(), host)
            self._running.add(running)
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._watch, name="autoqec-hosts", daemon=True).start()
        try:
            yield host
        finally:
            with self._lock:
                self._running.discard(running)
                self._idle.append((time.monotonic(), host))

    def _watch(self) -> None:
        while self._look():
            time.sleep(_LOOK_SECONDS)

    def _look(self) -> bool:
        """Stop what is cancelled, and end what is idle; whether there is more to look at."""
        oldest = time.monotonic() - _IDLE_SECONDS
        with self._lock:
            stopped = [each.host for each in self._running if each.is_cancelled()]
            ended = [host for since, host in self._idle if since < oldest]
            self._idle = [(since, host) for since, host in self._idle if since >= oldest]
            self._looking = bool(self._idle or self._running)
            looking = self._looking
        for host in stopped:
            host.stop()
        for host in ended:
            host.close()
        return looking


HOSTS = Hosts()


def _unsaid(name: str, seconds: float) -> None:
    """Nobody is told here what a child compiles."""


def greet() -> bytes:
    """What this machine says of itself as a worker, as a frame; a process of its own finds out, and ends."""
    with Child("autoqec_plugins.dask.far_side:serve_greeting", compiling=_unsaid) as child:
        return child.receive().to_bytes()


def serve_greeting(channel: Channel) -> None:
    """The process that finds out what `greet` returns."""
    channel.send(greeting_here(sandbox_level()).to_message())


def answer(frame: bytes, topic: str, number: int) -> bytes:
    """Have a child run a task.

    Args:
        frame: The task.
        topic: Of Dask's events, where progress is told.
        number: Of the question, for these events.

    Returns:
        The frame of the answer, or of an error as `report_of` makes it.
    """
    worker = get_worker()
    with HOSTS.host_for(worker) as host:
        return host.run(frame, lambda part: worker.log_event(topic, {"number": number, "part": part}))
