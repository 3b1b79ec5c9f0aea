"""Empties a file by its name."""

import os


def attempt(target):
    os.truncate(target["victim"], 0)
    return True
