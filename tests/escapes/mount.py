"""Puts another file system over the judge's."""

from autoqec.testing.misbehave import syscall

ENDS = "SIGSYS"
CANNOT_HERE = "an ordinary user may not, and no test should leave one"
LOCKED_ONLY = True


def attempt(target):
    return syscall("mount", b"none", target["folder"].encode(), b"tmpfs", 0, None) == 0
