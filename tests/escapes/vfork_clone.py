"""Starts a process by the bare call, past whatever watches fork."""

import os
import signal

from autoqec.testing.misbehave import syscall


def attempt(target):
    child = syscall("clone", signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child
