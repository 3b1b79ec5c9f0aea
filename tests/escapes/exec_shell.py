"""Becomes a shell."""

import os


def attempt(target):
    os.execv("/bin/sh", ["sh", "-c", f"echo out > {target['mark']}"])
