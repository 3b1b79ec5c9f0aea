"""The system-call filter: irrevocably restricts which system calls this process can make, whatever code runs in it.

A filter is a program for the classic BPF machine. The kernel runs it before every call (`man 2 seccomp`). It is built here
without a library, so that candidates' machines need no extra package.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from autoqec.sandbox.syscalls import ALLOWED, ARCHITECTURES, FILTERED, HOSTILE, Architecture

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _ERROR = 0x80000000, 0x7FFF0000, 0x00050000

#: Offsets in what a filter sees: number, architecture, and six arguments of 64 bits from here, low half first.
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

_CLONE_THREAD = 0x00010000
_FCNTL = (1, 2, 3)  # F_GETFD, F_SETFD, F_GETFL
_PRCTL = (15, 0x53564D41)  # PR_SET_NAME, PR_SET_VMA: names of threads and of memory

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _TSYNC = 1, 1

#: One instruction: operation, jump if true, jump if false, value.
_Instruction = tuple[int, int, int, int]


def _low(argument: int) -> int:
    return _ARGUMENTS + 8 * argument


def _error(number: int) -> int:
    return _ERROR | number


def _one_of(argument: int, values: tuple[int, ...]) -> list[_Instruction]:
    """Allow if the low half of an argument is one of these, else EPERM."""
    found: list[_Instruction] = [(_LOAD, 0, 0, _low(argument))]
    for value in values:
        found += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*found, (_RETURN, 0, 0, _error(errno.EPERM))]


def _rule(name: str, pid: int) -> list[_Instruction]:
    """The rule of a call whose arguments decide."""
    refuse: _Instruction = (_RETURN, 0, 0, _error(errno.EPERM))
    allow: _Instruction = (_RETURN, 0, 0, _ALLOW)
    if name == "clone":  # a thread, not a process
        return [(_LOAD, 0, 0, _low(0)), (_JUMP_ANY_BIT, 0, 1, _CLONE_THREAD), allow, refuse]
    if name == "clone3":  # its flags are behind a pointer; the C library then falls back to clone
        return [(_RETURN, 0, 0, _error(errno.ENOSYS))]
    if name == "tgkill":  # abort() signals itself
        return _one_of(0, (pid,))
    if name == "prlimit64":  # reading own limits, not setting any
        zero = [(_JUMP_EQUAL, 1, 0, 0), refuse]
        words = [_low(0), _low(2), _low(2) + 4]
        return [step for word in words for step in [(_LOAD, 0, 0, word), *zero]] + [allow]
    return _one_of(1 if name == "fcntl" else 0, _FCNTL if name == "fcntl" else _PRCTL)


def build_filter(architecture: Architecture, pid: int) -> bytes:
    """The filter as the kernel takes it.

    Args:
        architecture: Where it will run.
        pid: The process it will run in, the only one it may signal.
    """
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, architecture.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if architecture.foreign:
        program += [(_JUMP_AT_LEAST, 0, 1, architecture.foreign), (_RETURN, 0, 0, _KILL)]
    for names, verdict in ((ALLOWED, _ALLOW), (HOSTILE, _KILL)):
        for name in names:
            if name in architecture.numbers:
                program += [(_JUMP_EQUAL, 0, 1, architecture.numbers[name]), (_RETURN, 0, 0, verdict)]
    for name in FILTERED:
        rule = _rule(name, pid)  # every path through it returns, so what follows still has the number loaded
        program += [(_JUMP_EQUAL, 0, len(rule), architecture.numbers[name]), *rule]
    program.append((_RETURN, 0, 0, _error(errno.EACCES)))
    return b"".join(struct.pack("<HBBI", *step) for step in program)


def install() -> bool:
    """Filter the calls of every thread of this process from now on.

    Returns:
        Whether it worked; False if the kernel has no such filters or the architecture is unknown.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return False
    program = build_filter(architecture, os.getpid())
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return int(libc.syscall(architecture.seccomp, _SET_MODE_FILTER, _TSYNC, ctypes.byref(header))) == 0
