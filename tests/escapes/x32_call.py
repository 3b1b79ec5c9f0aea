"""Makes a call in the x32 convention, whose numbers a careless filter lets through."""

import ctypes
import os

from autoqec.testing.misbehave import checked

ENDS = "SIGSYS"
MACHINE = "x86_64"
CANNOT_HERE = "hardly any kernel has the convention"


def attempt(target):
    libc = ctypes.CDLL(None, use_errno=True)
    return checked(libc.syscall, 0x40000000 + 39) == os.getpid()
