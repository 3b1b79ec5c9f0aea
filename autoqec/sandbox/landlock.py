"""Landlock: irrevocably gives up access to files, TCP and signals to others (Linux 5.13 and later; `man 7 landlock`).

It is a second layer behind the system-call filter. It covers the calling thread and the threads it starts afterwards.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

from autoqec.sandbox.syscalls import ARCHITECTURES

_VERSION_FLAG = 1
_PR_SET_NO_NEW_PRIVS = 38

#: Kinds of access to files that each version added: how many there are up to it.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def rights(abi: int) -> tuple[int, int, int]:
    """Everything a version can take away: bits of file access, of TCP (bind, connect), and of scopes (sockets, signals)."""
    files = (1 << _FILE_RIGHTS[min(abi, max(_FILE_RIGHTS))]) - 1
    return files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0


def restrict() -> int:
    """Take all of it away from this process.

    Returns:
        The version of Landlock that holds now; 0 where there is none.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    abi = int(libc.syscall(architecture.landlock, None, ctypes.c_size_t(0), _VERSION_FLAG))
    if abi < 1:
        return 0
    attributes = struct.pack("<QQQ", *rights(abi))[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = int(libc.syscall(architecture.landlock, attributes, ctypes.c_size_t(len(attributes)), 0))
    if ruleset < 0:
        return 0
    try:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return abi if int(libc.syscall(architecture.landlock + 2, ruleset, 0)) == 0 else 0
    finally:
        os.close(ruleset)
