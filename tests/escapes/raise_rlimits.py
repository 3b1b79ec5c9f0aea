"""Sets its own limits."""

import ctypes
import struct

from autoqec.testing.misbehave import checked

RLIMIT_CORE = 4


def attempt(target):
    libc = ctypes.CDLL(None, use_errno=True)
    return checked(libc.setrlimit, RLIMIT_CORE, struct.pack("QQ", 0, 0)) == 0
