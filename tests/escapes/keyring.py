"""Leaves a key with the kernel."""

from autoqec.testing.misbehave import syscall

ENDS = "SIGSYS"


def attempt(target):
    return syscall("add_key", b"user", b"autoqec-escape", b"x", 1, -2)
