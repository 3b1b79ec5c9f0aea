"""Starts a program as subprocess does."""

import subprocess


def attempt(target):
    return subprocess.run(["/bin/true"], check=True)
