"""Which process is this, and is that one still alive: enough to tell a round at work from one that was interrupted."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")  # Linux; elsewhere a process is known by its pid alone


@dataclass(frozen=True)
class Owner:
    """A process: the machine, the boot of it, the pid, and its start in ticks since boot (empty if unknown)."""

    host: str
    pid: int
    boot_id: str
    process_start: str


def this_process() -> Owner:
    """The process that asks."""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, _boot_id(), _start_and_state(pid)[0])


def process_is_alive(host: str, pid: int, boot_id: str, process_start: str) -> bool:
    """Whether a process may still run. One on another host cannot be seen from here, so it may."""
    if host != socket.gethostname():
        return True
    if boot_id != _boot_id() or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it exists, and is another user's
    start, state = _start_and_state(pid)
    if state in ("Z", "X"):
        return False  # dead, only not yet reaped by its parent
    return not (start and process_start) or start == process_start


@cache
def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _start_and_state(pid: int) -> tuple[str, str]:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return "", ""
    fields = stat.rpartition(")")[2].split()  # the command's name, in parentheses, may hold spaces
    return fields[19], fields[0]
