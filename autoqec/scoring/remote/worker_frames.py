"""What goes over the standard streams of a worker, once it has greeted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoqec.sandbox.typed_messages import Request

#: Seconds between two signs of life of a worker, and of silence after which it is lost. One large answer may take a while.
SIGN_SECONDS = 15.0
SILENT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class ToWorker(Request):
    """What a worker is told.

    Attributes:
        op: `ask` it to run a task, or `stop` the task that it runs.
        number: Of the task.
        frame: The task, as `Task.to_message().to_bytes()` makes it; empty for `stop`.
    """

    op: Literal["ask", "stop"]
    number: int
    frame: bytes = b""


@dataclass(frozen=True, kw_only=True)
class FromWorker(Request):
    """What a worker says.

    Attributes:
        op: An `answer`; that it is `alive`; `progress` of a task; or that it is `compiling`.
        number: Of the task.
        part: How much of the task is done, from 0 to 1.
        name, seconds: What it compiles, and about how long that takes.
        frame: The answer.
    """

    op: Literal["answer", "alive", "progress", "compiling"]
    number: int = 0
    part: float = 0.0
    name: str = ""
    seconds: float = 0.0
    frame: bytes = b""
