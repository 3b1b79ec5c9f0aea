"""Fills the disk through its log."""

import os


def attempt(target):
    for _ in range(64):
        os.write(2, b"x" * 65536)
    return True
