"""Runs one network step of git (a fetch or a push) under a time limit, and ends it with all its helpers if it hangs.

The limit is on time without progress: git reports what it counts, sends and receives, so a slow link is not cut off, and
one that hangs is. A remote that reports forever meets a limit on the whole step.
"""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from autoqec.errors import AutoQECError

if TYPE_CHECKING:
    from subprocess import CompletedProcess, Popen

#: A step that makes progress ends after this many times the limit: one that takes 300 seconds without, 5 hours with it.
LONGEST = 60

_LOOK = 0.5  # seconds between looks at the progress
_PATIENCE = 5.0  # seconds that git has to remove its lock files


class NetworkTimeoutError(AutoQECError):
    """A remote did not answer in time."""

    code = "network_timeout"


def run_limited(
    command: Sequence[str],
    environment: Mapping[str, str],
    seconds: float,
    *,
    name: str,
    too_much: Callable[[], str] = lambda: "",
) -> CompletedProcess[str]:
    """Run a git command and return its result, whether or not git failed.

    Args:
        command: The command; it should report progress on standard error.
        environment: Its environment variables.
        seconds: How long it may take without any progress.
        name: The remote, for the error.
        too_much: Called now and then; what it returns, if anything, is why the step must end.

    Raises:
        NetworkTimeoutError: It made no progress for so long, took `LONGEST` times as long, or did too much.
        OSError: It does not start.
    """
    import subprocess  # imported here because `autoqec log` starts faster without it

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        # In our process group, so that git can still ask on the terminal for a password.
        process = subprocess.Popen(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=said)
        try:
            why = _watch(process, said, seconds, too_much)
        except BaseException:
            _end(process)
            raise
        if why:
            _end(process)
            hint = "try again; for a slow remote, raise network_seconds (AUTOQEC_NETWORK_SECONDS)"
            raise NetworkTimeoutError(f"{name} {why}, so git was stopped", hint=hint)
        done: CompletedProcess[str] = subprocess.CompletedProcess(
            list(command), process.returncode, _text(out), _text(said)
        )
        return done


def ready(descriptors: Iterable[int], seconds: float) -> set[int]:
    """Wait for so long at most until some descriptors, with numbers of any size, can be read or have ended; return those."""
    poll = select.poll()  # select() takes numbers below 1,024, and a process at work on many clones has more
    for each in descriptors:
        poll.register(each, select.POLLIN)
    return {each for each, _ in poll.poll(1000 * seconds)}


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _watch(process: Popen[bytes], said: IO[bytes], seconds: float, too_much: Callable[[], str]) -> str:
    """Wait for the end of the process; return why it must be stopped, or nothing if it has ended."""
    start = moved = time.monotonic()
    size = 0
    handle = os.pidfd_open(process.pid)
    try:
        while True:
            if ready([handle], min(_LOOK, seconds)):
                process.wait()
                return ""
            now = time.monotonic()
            if (new := os.fstat(said.fileno()).st_size) != size:
                size, moved = new, now
            if why := too_much() or why_stopped(now - start, now - moved, seconds):
                return why
    finally:
        os.close(handle)


def why_stopped(whole: float, without_progress: float, seconds: float) -> str:
    """Return why a step that has taken so long is stopped; nothing if it may go on."""
    if without_progress > seconds:
        return f"has not answered for {seconds:g} seconds"
    return f"has kept git busy for {LONGEST * seconds:g} seconds" if whole > LONGEST * seconds else ""


def _end(process: Popen[bytes]) -> None:
    """End git and what it started: first politely, because it then removes its lock files, then for good."""
    family: dict[int, int] = {}
    _join(family, process.pid)
    for pid in _descendants([process.pid]):
        _join(family, pid)
    _signal(family.values(), signal.SIGTERM)
    _wait(family.values())
    # What was started meanwhile must go too. A stopped process starts nothing, so all are stopped until no new one appears.
    new = list(family)
    while new:
        _signal([family[pid] for pid in new], signal.SIGSTOP)
        deadline = time.monotonic() + _PATIENCE
        while any(_runs(pid) for pid in new) and time.monotonic() < deadline:
            time.sleep(0.001)
        new = [pid for pid in _descendants(family) if _join(family, pid)]
    _signal(family.values(), signal.SIGKILL)
    process.wait()
    _wait(family.values())
    for handle in family.values():
        os.close(handle)


def _wait(handles: Iterable[int]) -> None:
    """Wait until processes have ended, but not for longer than `_PATIENCE`."""
    deadline = time.monotonic() + _PATIENCE
    waiting = set(handles)
    while waiting and (left := deadline - time.monotonic()) > 0:
        waiting -= ready(waiting, left)


def _join(family: dict[int, int], pid: int) -> bool:
    """Add a process to a family, by a handle of this very process, even if its number is used again; whether it is new."""
    if pid not in family:
        with suppress(OSError):
            family[pid] = os.pidfd_open(pid)
            return True
    return False


def _signal(handles: Iterable[int], number: signal.Signals) -> None:
    for handle in handles:
        with suppress(OSError):
            signal.pidfd_send_signal(handle, number)


def _runs(pid: int) -> bool:
    """Whether a process is neither stopped nor ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "TtZX"
    except (OSError, IndexError):
        return False


def _descendants(pids: Iterable[int]) -> list[int]:
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(status.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    found: list[int] = []
    waiting = list(pids)
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
