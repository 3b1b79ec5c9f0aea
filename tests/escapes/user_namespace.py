"""Becomes root of a world of its own."""

from autoqec.testing.misbehave import syscall

ENDS = "SIGSYS"
CLONE_NEWUSER = 0x10000000
CANNOT_HERE = "containers often forbid it"


def attempt(target):
    return syscall("unshare", CLONE_NEWUSER) == 0
