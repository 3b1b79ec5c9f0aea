"""What a bad task does: functions that tests run in child processes to see that the parent survives."""

from __future__ import annotations

import contextlib
import ctypes
import mmap  # noqa: F401 - loaded before the lock, for the attempts: nothing can be loaded after it
import os
import platform
import random
import resource
import shutil  # noqa: F401 - likewise
import socket
import stat
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import find_function
from autoqec.sandbox.lock import lock
from autoqec.sandbox.syscalls import ARCHITECTURES

_PR_GET_DUMPABLE = 3

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


def look_around(message: Message) -> Message:
    """What a process finds itself with: descriptors, folder, session, limits, namespaces, threads, and dice."""
    links = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            links[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the listing's own
            continue
    with open("/proc/self/oom_score_adj") as file:
        adjusted = int(file.read())
    return Message(
        {
            "descriptors": links,
            "folder": os.getcwd(),
            "session": os.getsid(0),
            "group": os.getpgid(0),
            "parent": os.getppid(),
            "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
            "namespaces": [os.readlink(f"/proc/self/ns/{name}") for name in ("user", "net", "ipc", "uts")],
            "threads": len(os.listdir("/proc/self/task")),
            "dice": random.random(),  # noqa: S311 - how random it is, is the question
            "out_of_memory": adjusted,
            "keeps_to_itself": ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0,
        }
    )


def speak_and_exit(message: Message) -> Message:
    """Write to the standard streams, and end with status 3."""
    print("last words")
    raise SystemExit(3)


def warm_up(message: Message) -> Callable[[Channel], None]:
    """What a warm process does before it forks: find what its field `serve` names.

    With `thread`, it is no longer alone in there. With `shut`, it closes its sockets first. With `reached` and `go on`, named
    pipes, it opens the one and then waits until somebody opens the other.
    """
    fields = message.fields
    if fields.get("thread"):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    if fields.get("shut"):
        _shut_sockets()
    for name, mode in (("reached", "w"), ("go on", "r")):
        if name in fields:
            open(fields[name], mode).close()
    return find_function(fields["serve"])


def _shut_sockets() -> None:
    for descriptor in [int(name) for name in os.listdir("/proc/self/fd")]:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                socket.fromfd(descriptor, socket.AF_UNIX, socket.SOCK_STREAM).shutdown(socket.SHUT_RDWR)


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
