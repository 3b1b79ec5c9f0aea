"""The contract of executors, which run tasks: plain tasks in, futures out. The default plugin uses local processes.

A task scores shots or trains a candidate. It is data: a function's name, JSON fields, byte blobs. Any engine that can call a
Python function elsewhere can run it. An engine may also pass on how far a task is, and keep tasks of one kind together; results
do not depend on either.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Literal, Protocol, runtime_checkable

from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import report_of
from autoqec.sandbox.typed_messages import BadMessage

#: Called with the part of a task that is done, from 0 to 1; from any thread.
Progress = Callable[[float], None]

#: Seconds between two reports of one task, at least.
_REPORT_SECONDS = 0.25

_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@dataclass(frozen=True)
class Task:
    """A call of `module:function(message) → message`.

    Attributes:
        function: The function's address.
        message: Its argument.
        progress: Told how far the task is, by an executor that can; it is not sent.
        kind: Tasks of one kind need the same things loaded, so an executor may give them to one worker; it is not sent.
        same_everywhere: Whether all workers of one arithmetic give the same answer, so that two answers may be compared. A
            training depends on the time that it has, and on the device; it is not sent.
        prefers_gpu: Whether a worker with a GPU does it better; it is not sent.
    """

    function: str
    message: Message = field(default_factory=lambda: Message({}))
    progress: Progress | None = field(default=None, compare=False)
    kind: str = field(default="", compare=False)
    same_everywhere: bool = field(default=True, compare=False)
    prefers_gpu: bool = field(default=False, compare=False)

    def to_message(self) -> Message:
        """The task as one message: the argument, and the field `function`."""
        return Message({**self.message.fields, "function": self.function}, self.message.blobs)

    @staticmethod
    def from_message(message: Message) -> Task:
        """The inverse of `to_message`.

        Raises:
            BadMessage: There is no function.
        """
        given = dict(message.fields)
        function = given.pop("function", None)
        if not isinstance(function, str):
            raise BadMessage("Task", "function", "is not str")
        return Task(function, Message(given, message.blobs))


@dataclass(frozen=True)
class WorkerNews:
    """What happened to a worker of an executor that has workers elsewhere.

    Attributes:
        what: `joined`; `refused`, before it had a task; `lost`, because it ended or no longer answers; `dropped`, because it
            answered otherwise than others on the same task.
        worker: Its name, as the user knows it: an address or a command.
        reason: Why, in words; empty for `joined`.
        workers: How many work now.
        machine: The one that it is on, as `WorkerGreeting.machine`; empty if that is not known.
    """

    what: Literal["joined", "refused", "lost", "dropped"]
    worker: str
    reason: str
    workers: int
    machine: str = ""


#: Called with each `WorkerNews`, from any thread.
ToldNews = Callable[[WorkerNews], None]


@dataclass(frozen=True)
class ExecutorChoice:
    """Which executor runs tasks.

    Attributes:
        name: The plugin's name.
        jobs: How many tasks at once.
        options: What else its factory takes: the table `[executors.NAME]` of the settings.
        left_out: Workers and machines that were dropped by an executor of this command before.
    """

    name: str
    jobs: int
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    left_out: tuple[str, ...] = ()


@runtime_checkable
class SelectiveExecutor(Protocol):
    """An executor that does without some workers."""

    def leave_out(self, workers: Collection[str]) -> None:
        """Refuse workers of these names, and all that are on these machines; called before there are tasks."""
        ...


@runtime_checkable
class WatchedExecutor(Protocol):
    """An executor that says what happens to its workers."""

    def watch(self, told: ToldNews) -> None:
        """Have `told` called with what has happened so far, in order, and with what happens from now on."""
        ...


@runtime_checkable
class SharingFactory(Protocol):
    """A factory of executors that has something which all executors of one command share, such as a cluster."""

    def shared(self, jobs: int, **options: Any) -> AbstractContextManager[Mapping[str, Any]]:
        """Begin it, for a `with` statement; in this process and in others, `factory(jobs=…, **yielded)` uses it."""
        ...


class Executor(Protocol):
    """Runs tasks somewhere; made by `factory(jobs=…, **options)` and used as a context manager."""

    @property
    def jobs(self) -> int:
        """How many tasks run at once."""
        ...

    def submit(self, task: Task) -> Future[Message]:
        """Start a task; its future holds the function's message or the AutoQECError it raised."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def run_task(task: Task) -> Message:
    """Call a task's function in this process. An executor runs this in its workers."""
    module, _, function = task.function.partition(":")
    with _reporting_to(task.progress):
        answer: Message = getattr(importlib.import_module(module), function)(task.message)
    return answer


@contextmanager
def _reporting_to(progress: Progress | None) -> Iterator[None]:
    before = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(before)


def report_progress(part: float) -> None:
    """Say how much of the task that this process runs is done, from 0 to 1; heard where the executor passes it on."""
    progress = _progress.get()
    if progress is not None:
        progress(part)


def _sender(channel: Channel) -> Progress:
    """Sends progress as frames `{"progress": part}`, and not too many of them."""
    last = -math.inf

    def send(part: float) -> None:
        nonlocal last
        if time.monotonic() >= last + _REPORT_SECONDS:
            channel.send(Message({"progress": part}))
            last = time.monotonic()

    return send


def serve_tasks(channel: Channel) -> None:
    """Serve tasks over a channel until it closes: the worker of an executor made of child processes.

    A task is answered by one frame; frames `{"progress": part}` may come before.
    """
    while True:
        request = channel.receive()
        try:
            answer = run_task(replace(Task.from_message(request), progress=_sender(channel)))
        except Exception as error:
            answer = Message(report_of(error))
        channel.send(answer)


def blobs_with_prefix(prefix: str, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The blobs whose names have a prefix, by the rest of the name."""
    return {name.removeprefix(prefix): bytes(data) for name, data in blobs.items() if name.startswith(prefix)}
