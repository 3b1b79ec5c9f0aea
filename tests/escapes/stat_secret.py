"""Asks how large a file is and when it was written, without reading it."""

import os


def attempt(target):
    return os.stat(target["secret"])
