"""Has the kernel open files on its behalf, past a filter of calls."""

import ctypes

from autoqec.testing.misbehave import syscall

ENDS = "SIGSYS"
CANNOT_HERE = "a kernel may have it switched off"


def attempt(target):
    return syscall("io_uring_setup", 1, ctypes.create_string_buffer(120)) >= 0
