"""What runs scoring tasks: an executor takes plain tasks and returns futures; local processes are the default plugin.

A task is data — a function's name, JSON fields, byte blobs — so any engine that can call a Python function elsewhere can
run it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import report_of


@dataclass(frozen=True)
class Task:
    """A call of `module:function(message) → message`.

    Attributes:
        function: The function's address.
        message: What it is given.
    """

    function: str
    message: Message = field(default_factory=lambda: Message({}))


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
    """Call a task's function here; what an executor runs at the far end."""
    module, _, function = task.function.partition(":")
    answer: Message = getattr(importlib.import_module(module), function)(task.message)
    return answer


def serve_tasks(channel: Channel) -> None:
    """Serve tasks over a channel until it closes: the far end of an executor made of child processes."""
    while True:
        request = channel.receive()
        fields: dict[str, Any] = dict(request.fields)
        try:
            answer = run_task(Task(fields.pop("function"), Message(fields, request.blobs)))
        except Exception as error:
            answer = Message(report_of(error))
        channel.send(answer)


def blobs_with_prefix(prefix: str, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The blobs under a prefix, without it."""
    return {name.removeprefix(prefix): bytes(data) for name, data in blobs.items() if name.startswith(prefix)}
