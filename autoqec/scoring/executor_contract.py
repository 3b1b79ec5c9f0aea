"""The contract of executors, which run scoring tasks: plain tasks in, futures out. The default plugin uses local processes.

A task is data: a function's name, JSON fields, byte blobs. Any engine that can call a Python function elsewhere can run it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import report_of
from autoqec.sandbox.typed_messages import BadMessage


@dataclass(frozen=True)
class Task:
    """A call of `module:function(message) → message`.

    Attributes:
        function: The function's address.
        message: Its argument.
    """

    function: str
    message: Message = field(default_factory=lambda: Message({}))

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


class Executor(Protocol):
    """Runs tasks somewhere; made by `factory(jobs=…)` and used as a context manager."""

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
    answer: Message = getattr(importlib.import_module(module), function)(task.message)
    return answer


def serve_tasks(channel: Channel) -> None:
    """Serve tasks over a channel until it closes: the worker of an executor made of child processes."""
    while True:
        request = channel.receive()
        try:
            answer = run_task(Task.from_message(request))
        except Exception as error:
            answer = Message(report_of(error))
        channel.send(answer)


def blobs_with_prefix(prefix: str, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The blobs whose names have a prefix, by the rest of the name."""
    return {name.removeprefix(prefix): bytes(data) for name, data in blobs.items() if name.startswith(prefix)}
