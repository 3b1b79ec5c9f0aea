"""Runs a foreign program with limits on time and output, in its own process group, and without secrets.

The program gets only the given environment variables and the given standard input. It does not outlive its caller. Nothing that
it starts outlives it, except processes that leave its session.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoqec.sandbox.child import die_with_parent, end_group

#: Seconds between two looks whether the program has ended.
_LOOK = 0.05

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Finished:
    """The result of a program.

    Attributes:
        status: Exit status, negative for a signal.
        out, err: What it wrote, up to the limit.
        ended: `exit` if it ended by itself; `timeout`; or `flood` if it wrote more than it may.
    """

    status: int
    out: bytes
    err: bytes
    ended: Literal["exit", "timeout", "flood"]


def run_program(
    argv: Sequence[str],
    *,
    stdin: bytes,
    env: Mapping[str, str],
    folder: Path,
    seconds: float,
    most_bytes: int,
) -> Finished:
    """Run a program until it ends or its time is up.

    Args:
        argv: The program, by its full path, and its arguments; no shell sees them.
        stdin: What it reads.
        env: Its whole environment.
        folder: Where it runs.
        seconds: How long it may run.
        most_bytes: How much it may write to each of standard output and standard error.

    Raises:
        OSError: No process can be started. A program that cannot be run ends with status 1 and says so on standard error.
    """
    # Start this module first: it asks the kernel to end the program with its caller, and then executes the program.
    starter = [sys.executable, "-I", "-m", "autoqec.sandbox.foreign_program", str(os.getpid()), *argv]
    process = subprocess.Popen(
        starter,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(env),
        cwd=folder,
        start_new_session=True,
    )
    try:
        out, err, ended = _attend(process, stdin, time.monotonic() + seconds, most_bytes)
    finally:
        end_group(process)
    return Finished(process.returncode, out, err, ended)


def _attend(
    process: subprocess.Popen[bytes], stdin: bytes, deadline: float, most_bytes: int
) -> tuple[bytes, bytes, Literal["exit", "timeout", "flood"]]:
    """Feed and read a program until it has ended; it is not reaped, so that its process id is not reused."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    read = {process.stdout: bytearray(), process.stderr: bytearray()}
    todo = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdin, *read):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_WRITE if stream is process.stdin else selectors.EVENT_READ)
        while True:
            gone = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            # Once it has ended, all its output is in the pipes; do not wait for other processes that hold them open.
            ready = selector.select(0 if gone else _LOOK) if selector.get_map() else []
            heard = False
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    todo = _feed(process, todo)
                    if not todo:
                        selector.unregister(process.stdin)
                        _close_quietly(process)
                    continue
                data = os.read(key.fd, _CHUNK)
                heard = heard or bool(data)
                if not data:
                    selector.unregister(key.fileobj)
                read[key.fileobj] += data  # type: ignore[index]
                if len(read[key.fileobj]) > most_bytes:  # type: ignore[index]
                    return bytes(read[process.stdout]), bytes(read[process.stderr]), "flood"
            if gone and not heard:
                return bytes(read[process.stdout]), bytes(read[process.stderr]), "exit"
            if time.monotonic() > deadline:
                return bytes(read[process.stdout]), bytes(read[process.stderr]), "timeout"
            if not selector.get_map():
                time.sleep(_LOOK)


def _feed(process: subprocess.Popen[bytes], todo: memoryview) -> memoryview:
    """The rest of the input after one write to the pipe; nothing if the reader is gone."""
    assert process.stdin is not None
    try:
        return todo[os.write(process.stdin.fileno(), todo[:_CHUNK]) :]
    except BlockingIOError:
        return todo
    except BrokenPipeError:
        return todo[:0]


def _close_quietly(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    try:
        os.execve(sys.argv[2], sys.argv[2:], os.environ)  # noqa: S606 - what to run is the caller's; no shell is asked
    except OSError as error:
        sys.exit(f"{sys.argv[2]} cannot be run: {error.strerror}")
