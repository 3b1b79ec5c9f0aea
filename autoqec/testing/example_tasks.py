"""Tasks with which `check_executor` tries an executor; they are run wherever it runs tasks."""

from __future__ import annotations

import time
from pathlib import Path

from autoqec.errors import UsageError
from autoqec.sandbox.channel import Message
from autoqec.scoring.executor_contract import report_progress

#: Seconds between two looks at whether a task may end.
_LOOK_SECONDS = 0.02


def echo(message: Message) -> Message:
    """Answer what was said."""
    return Message(dict(message.fields), {name: bytes(data) for name, data in message.blobs.items()})


def refuse(message: Message) -> Message:
    """Raise an error of ours."""
    raise UsageError("the task refuses", hint="ask for something else")


def fail(message: Message) -> Message:
    """Raise what no task should raise."""
    raise ZeroDivisionError("the task fails")


def hold(message: Message) -> Message:
    """Write the file `began`, say that half is done, and answer when the file `end` exists; both are paths."""
    report_progress(0.5)
    Path(message.fields["began"]).touch()
    while not Path(message.fields["end"]).exists():
        time.sleep(_LOOK_SECONDS)
    return Message(dict(message.fields))
