"""Process identity and liveness: tells a running round from an interrupted one."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")  # Linux; elsewhere only the pid identifies a process


@dataclass(frozen=True)
class Owner:
    """A process: host, boot id, pid, and start time in ticks since boot (empty if unknown)."""

    host: str
    pid: int
    boot_id: str
    process_start: str


def this_process() -> Owner:
    """Return the calling process."""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, _boot_id(), _start_and_state(pid)[0])


def process_is_alive(host: str, pid: int, boot_id: str, process_start: str) -> bool:
    """Tell whether a process may still be running; one on another host counts as running, because we cannot see it."""
    if host != socket.gethostname():
        return True
    if boot_id != _boot_id() or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it exists and belongs to another user
    start, state = _start_and_state(pid)
    if state in ("Z", "X"):
        return False  # dead, but its parent has not reaped it yet
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
    fields = stat.rpartition(")")[2].split()  # the command's name, in parentheses, may contain spaces
    return fields[19], fields[0]
