"""Attaches to the judge as a debugger does, without stopping it."""

import os

from autoqec.testing.misbehave import syscall

ENDS = "SIGSYS"
PTRACE_SEIZE = 0x4206


def attempt(target):
    return syscall("ptrace", PTRACE_SEIZE, os.getppid(), 0, 0) == 0
