"""Stops the kernel in the middle of a read."""

from autoqec.testing.misbehave import syscall

ENDS = "SIGSYS"
CANNOT_HERE = "a kernel may not have it"


def attempt(target):
    return syscall("userfaultfd", 1) >= 0
