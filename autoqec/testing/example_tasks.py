"""Tasks with which `check_executor` tries an executor; they are run wherever it runs tasks."""

from __future__ import annotations

from autoqec.errors import UsageError
from autoqec.sandbox.channel import Message


def echo(message: Message) -> Message:
    """Answer what was said."""
    return Message(dict(message.fields), {name: bytes(data) for name, data in message.blobs.items()})


def refuse(message: Message) -> Message:
    """Raise an error of ours."""
    raise UsageError("the task refuses", hint="ask for something else")


def fail(message: Message) -> Message:
    """Raise what no task should raise."""
    raise ZeroDivisionError("the task fails")
