"""Chooses the processors that the judge may use."""

import os


def attempt(target):
    os.sched_setaffinity(os.getppid(), os.sched_getaffinity(os.getppid()))
    return True
