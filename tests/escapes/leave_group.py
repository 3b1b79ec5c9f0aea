"""Leaves the process group by which it would be killed."""

import os

CANNOT_HERE = "a session's leader stays in its group, locked or not"


def attempt(target):
    os.setpgid(0, os.getpgid(os.getppid()))
    return True
