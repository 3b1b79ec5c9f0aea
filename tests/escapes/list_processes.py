"""Looks around for other processes."""

import os


def attempt(target):
    return os.listdir("/proc")
