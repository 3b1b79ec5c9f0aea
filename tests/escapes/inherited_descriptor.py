"""Reads a file that something left open before the lock."""

import os

from autoqec.testing.misbehave import FORGOTTEN


def attempt(target):
    os.lseek(FORGOTTEN, 0, os.SEEK_SET)
    return os.read(FORGOTTEN, 100)
