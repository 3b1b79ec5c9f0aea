"""Running a program that is not ours: limited in time and output, in a group of its own that ends with it, told no secrets.

The program gets the environment it is given and no other, and what it is to read on standard input. It does not outlive its
caller, and nothing that it started outlives it, unless that has left its session.
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
    """What became of a program.

    Attributes:
        status: Exit status, negative for a signal.
        out, err: What it wrote, up to the limit.
        ended: `exit`, or by whom it was ended: `timeout`, or `flood` for more output than it may write.
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
    """Run a program to its end, or to that of its time.

    Args:
        argv: The program, by its full path, and its arguments; no shell sees them.
        stdin: What it reads.
        env: Its whole environment.
        folder: Where it runs.
        seconds: How long it may run.
        most_bytes: How much it may write to standard output; as much again to standard error.

    Raises:
        OSError: No process can be started. A program that cannot be run ends with status 1 and says so on standard error.
    """
    # By way of this module, which asks the kernel to end the program with us, and then becomes it.
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
    """Feed and read a program until it has ended; it is not reaped, so that its group's number stays its own."""
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
            # Once it has ended, what it wrote is in the pipes; who else may hold them open is not waited for.
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
    """What is left to write after writing what the pipe takes; nothing, if nobody reads it."""
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
