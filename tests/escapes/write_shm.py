"""Leaves a note for the next run in shared memory."""

import os


def attempt(target):
    path = f"/dev/shm/autoqec-escape-{os.getpid()}"
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    os.unlink(path)
    return path
