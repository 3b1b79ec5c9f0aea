"""What a bad task does: functions that tests run in child processes to see that the parent survives."""

from __future__ import annotations

import ctypes
import mmap  # noqa: F401 - loaded before the lock, for the attempts: nothing can be loaded after it
import os
import platform
import resource  # noqa: F401 - likewise
import shutil  # noqa: F401 - likewise
import socket  # noqa: F401 - likewise
import threading  # noqa: F401 - likewise
import time
from types import ModuleType
from typing import Any

from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.lock import lock
from autoqec.sandbox.syscalls import ARCHITECTURES

#: Where a process has its secret open, as a library that forgot to close a file would.
FORGOTTEN = 50


def allocate(message: Message) -> Message:
    """Ask for 16 GiB."""
    return Message({"bytes": len(bytearray(16 * 2**30))})


def hang(message: Message) -> Message:
    """Sleep for an hour."""
    time.sleep(3600)
    return Message({})


def fork_and_hang(message: Message) -> Message:
    """Start two processes that sleep, and sleep."""
    for _ in range(2):
        if os.fork() == 0:
            break
    return hang(message)


def serve_attempt(channel: Channel) -> None:
    """Try to get out: one message with an attempt's `source`, whether to `lock` first, and the `target` it is given.

    Answered by `{"locked": level}` before the attempt, then by `{"evidence": text}`, empty if it says it did not get out, or
    by `{"refused": text}` if it raised.
    """
    fields = channel.receive().fields
    os.dup2(os.open(fields["target"]["secret"], os.O_RDONLY), FORGOTTEN)
    attempt = ModuleType("attempt")
    exec(compile(fields["source"], "attempt.py", "exec"), vars(attempt))  # noqa: S102 - this is what the function is for
    level = lock(channel.descriptors).level if fields["lock"] else 0
    channel.send(Message({"locked": level}))
    try:
        evidence = attempt.attempt(fields["target"])
        channel.send(Message({"evidence": str(evidence)[:200] if evidence else ""}))
    except (OSError, MemoryError, RuntimeError) as error:  # the last: a thread that cannot be started
        channel.send(Message({"refused": f"{type(error).__name__}: {error}"}))


def syscall(name: str, *arguments: Any) -> int:
    """A system call by name.

    Raises:
        OSError: The kernel refused it.
    """
    return checked(
        ctypes.CDLL(None, use_errno=True).syscall, ARCHITECTURES[platform.machine()].numbers[name], *arguments
    )


def checked(function: Any, *arguments: Any) -> int:
    """What a function of the C library returned.

    Raises:
        OSError: It returned -1.
    """
    answer = int(
        function(*[a if isinstance(a, bytes | None) or not isinstance(a, int) else ctypes.c_long(a) for a in arguments])
    )
    if answer == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
