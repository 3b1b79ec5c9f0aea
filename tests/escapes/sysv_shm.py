"""Leaves a block of memory that outlives it."""

import ctypes

from autoqec.testing.misbehave import checked


def attempt(target):
    libc = ctypes.CDLL(None, use_errno=True)
    block = checked(libc.shmget, 0, 4096, 0o1600)  # a new one
    libc.shmctl(block, 0, None)  # gone again
    return True
