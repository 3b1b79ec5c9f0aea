"""Locks a process: afterwards it can compute on the data it has and answer over its pipes, and reaches nothing else.

Each layer is applied and tested; a kernel's description of itself is not trusted. Then canaries try every common way out, and if
one succeeds, the process ends. `level` counts the layers: 0 none; 1 filtered system calls (on macOS: a profile that denies by
default); 2 also Landlock; 3 also namespaces without a network. Only the first layer is required.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.json_values import JsonObject
from autoqec.sandbox import landlock, seccomp
from autoqec.sandbox.channel import Channel, Message

#: Bytes that a locked process may write to its standard error, which is a file.
_LOG_BYTES = 64 * 1024

#: Threads that a locked process may have: far more than any library starts, and too few to exhaust a machine.
_THREADS = 256

_CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x04000000, 0x08000000, 0x10000000, 0x40000000

#: Set to 1 to run candidates unsandboxed on machines without a sandbox; the level is then 0, and they are never VERIFIED.
ALLOW_VARIABLE = "AUTOQEC_ALLOW_UNSANDBOXED"


class SandboxUnavailable(AutoQECError):
    """This machine cannot lock a process, or a canary escaped from the lock."""

    code = "sandbox_unavailable"


@dataclass(frozen=True)
class Lock:
    """The layers around a process.

    Attributes:
        level: See the module.
        seccomp: Whether system calls are filtered.
        landlock: Version of Landlock that holds; 0 for none.
        namespaces: Whether it has user and network namespaces of its own.
        profile: Whether macOS's sandbox denies by default.
    """

    level: int = 0
    seccomp: bool = False
    landlock: int = 0
    namespaces: bool = False
    profile: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        return asdict(self)

    @staticmethod
    def from_dict(fields: JsonObject) -> Lock:
        """The inverse of `to_dict`."""
        return Lock(**fields)


#: Whether this process has left its namespaces.
_left = False


def enter_namespaces() -> None:
    """Enter new user and network namespaces, if the kernel allows it. Call this while there is only one thread."""
    global _left
    if sys.platform == "linux":
        flags = _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS
        _left = int(ctypes.CDLL(None, use_errno=True).unshare(flags)) == 0


def lock(keep: Iterable[int]) -> Lock:
    """Lock this process irrevocably. Everything that loads lazily must be loaded before.

    Args:
        keep: Descriptors that stay open, besides standard error; a file among them could still be written.

    Raises:
        SandboxUnavailable: There is no first layer on this machine, and `AUTOQEC_ALLOW_UNSANDBOXED` is not set; or a layer has a
            hole.
    """
    allowed = os.environ.get(ALLOW_VARIABLE) == "1"
    _forget_environment()
    close_others({0, 1, 2, *keep})
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_FSIZE, (_LOG_BYTES, _LOG_BYTES))
        if (
            _left
        ):  # in a user namespace the limit counts this process's threads; elsewhere it counts all threads of the user
            resource.setrlimit(resource.RLIMIT_NPROC, (_THREADS, _THREADS))
        version = landlock.restrict()
        filtered = seccomp.install()
        level = 0 if not filtered else 1 + bool(version) + bool(version and _left)
        built = Lock(level, filtered, version, _left)
    else:
        profile = _macos_profile()
        built = Lock(int(profile), profile=profile)
    if built.level == 0:
        if allowed:
            return Lock()
        raise SandboxUnavailable(
            f"this machine ({sys.platform}) cannot sandbox a candidate's own code",
            hint=f"use Linux with seccomp filters, or set {ALLOW_VARIABLE}=1: the round is then never VERIFIED",
        )
    holes = [name for name, attempt in _CANARIES.items() if _gets_out(attempt)]
    if holes:
        raise SandboxUnavailable(f"the sandbox does not prevent: {', '.join(holes)}")
    return built


def serve_trial(channel: Channel) -> None:
    """Lock this empty process and answer `{"lock"}`: this finds out which layers the machine supports."""
    channel.send(Message({"lock": lock(channel.descriptors).to_dict()}))


def _forget_environment() -> None:
    os.environ.clear()
    ctypes.CDLL(None).clearenv() if sys.platform == "linux" else None


def close_others(keep: set[int]) -> None:
    """Close every descriptor of this process but those."""
    listing = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    for descriptor in [int(name) for name in os.listdir(listing)]:
        if descriptor not in keep:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(descriptor)


def _macos_profile() -> bool:
    """Deny everything (macOS). Apple deprecates this call, but others still use it. Not tested by us: canaries check it."""
    with contextlib.suppress(OSError, AttributeError):
        error = ctypes.c_char_p()
        return int(ctypes.CDLL(None).sandbox_init(b"(version 1)(deny default)", 0, ctypes.byref(error))) == 0
    return False


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _write() -> None:
    os.close(os.open(os.path.join(os.sep, "tmp", f"autoqec-canary-{os.getpid()}"), os.O_CREAT | os.O_WRONLY, 0o600))


_CANARIES: dict[str, Callable[[], object]] = {
    "reading a file": lambda: os.open(sys.executable, os.O_RDONLY),
    "writing a file": _write,
    "asking whether a file exists": lambda: os.stat(os.sep),
    "a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "another process": _fork,
    "a signal to the judge": lambda: os.kill(os.getppid(), signal.SIGCONT),
}


def _gets_out(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True
