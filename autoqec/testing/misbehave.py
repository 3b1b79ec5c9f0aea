"""Misbehaving tasks: tests run these functions in child processes and check that the parent survives."""

from __future__ import annotations

import contextlib
import ctypes
import mmap  # noqa: F401 - imported before the lock for the escape attempts: a locked process can load nothing
import os
import platform
import random
import resource
import shutil  # noqa: F401 - as above
import socket
import stat
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from autoqec.compiled_once import say_compiling
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import Child, find_function
from autoqec.sandbox.lock import lock
from autoqec.sandbox.syscalls import ARCHITECTURES
from autoqec.scoring.executor_contract import report_progress

_PR_GET_DUMPABLE = 3

#: The file descriptor of the secret that a process has open, as if a library had forgotten to close a file.
FORGOTTEN = 50

#: Children that nobody ends.
_KEPT: list[Child] = []


def allocate(message: Message) -> Message:
    """Ask for 16 GiB."""
    return Message({"bytes": len(bytearray(16 * 2**30))})


def hang(message: Message) -> Message:
    """Sleep for an hour."""
    time.sleep(3600)
    return Message({})


def half_way(message: Message) -> Message:
    """Report half of the work, and be done."""
    report_progress(0.5)
    return Message({"done": True})


def begin_and_hang(message: Message) -> Message:
    """Report half of the work, and sleep for an hour."""
    report_progress(0.5)
    return hang(message)


def compile_kernels(message: Message) -> Message:
    """Say that the kernels that the field `names` lists are compiled; with `deeper`, by a child of this process."""
    if message.fields.get("deeper"):
        with Child("autoqec.scoring.executor_contract:serve_tasks") as child:
            child.send({"function": "autoqec.testing.misbehave:compile_kernels", "names": message.fields["names"]})
            return child.receive(60)
    for name in message.fields["names"]:
        say_compiling(name, 9)
    return Message({"done": True})


def fork_and_hang(message: Message) -> Message:
    """Start two processes that sleep, and sleep."""
    for _ in range(2):
        if os.fork() == 0:
            break
    return hang(message)


def start_child(message: Message) -> Message:
    """Start a child and never end it."""
    _KEPT.append(Child("autoqec.testing.misbehave:serve_attempt"))
    return Message({"folder": os.getcwd()})


def look_around(message: Message) -> Message:
    """Report the process's descriptors, folder, session, limits, namespaces, threads, and a random number."""
    links = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            links[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the descriptor of the listing itself
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
            "dice": random.random(),  # noqa: S311 - the test checks how random it is
            "out_of_memory": adjusted,
            "keeps_to_itself": ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0,
        }
    )


def speak_and_exit(message: Message) -> Message:
    """Write to the standard streams and exit with status 3."""
    print("last words")
    raise SystemExit(3)


def shout(message: Message) -> Message:
    """Write to standard output as Python does, as C does, and without either; then answer."""
    print("from Python", flush=True)
    os.write(1, b"from nobody\n")
    library = ctypes.CDLL(None)
    library.puts(b"from C")
    library.fflush(None)
    return Message({"answer": "whole"})


def warm_up(message: Message) -> Callable[[Channel], None]:
    """Warm up a fork server: find the function that the field `serve` names.

    With `thread`, also start a second thread. With `shut`, shut all sockets down first. With `reached` and `go on`, which are
    named pipes, open the first and then wait until somebody opens the second.
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
    """Attempt to escape the sandbox, by a message with the attempt's `source`, its `target`, and whether to `lock` first.

    It sends `{"locked": level}` before the attempt, then `{"evidence": text}` (empty if the attempt reports no escape), or
    `{"refused": text}` if the attempt raised an error.
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
    except (OSError, MemoryError, RuntimeError) as error:  # RuntimeError: a thread cannot start
        channel.send(Message({"refused": f"{type(error).__name__}: {error}"}))


def syscall(name: str, *arguments: Any) -> int:
    """Make a system call by name.

    Raises:
        OSError: The kernel refused it.
    """
    return checked(
        ctypes.CDLL(None, use_errno=True).syscall, ARCHITECTURES[platform.machine()].numbers[name], *arguments
    )


def checked(function: Any, *arguments: Any) -> int:
    """Call a function of the C library and return its result.

    Raises:
        OSError: It returned -1.
    """
    answer = int(
        function(*[a if isinstance(a, bytes | None) or not isinstance(a, int) else ctypes.c_long(a) for a in arguments])
    )
    if answer == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
