"""Asks not to be ended with its judge."""

import ctypes

from autoqec.testing.misbehave import checked

PR_SET_PDEATHSIG = 1


def attempt(target):
    libc = ctypes.CDLL(None, use_errno=True)
    return checked(libc.prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0) == 0
