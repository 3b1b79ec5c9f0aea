"""Takes a descriptor out of the judge's hands."""

import ctypes
import os

from autoqec.testing.misbehave import checked

PIDFD_OPEN = 434


def attempt(target):
    return checked(ctypes.CDLL(None, use_errno=True).syscall, PIDFD_OPEN, os.getppid(), 0)
