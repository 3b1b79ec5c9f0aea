"""Sends a signal to another thread's process by the call that abort() uses."""

import os
import signal

from autoqec.testing.misbehave import syscall


def attempt(target):
    return syscall("tgkill", os.getppid(), os.getppid(), signal.SIGURG) == 0
