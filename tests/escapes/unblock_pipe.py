"""Has the judge's end of a pipe behave otherwise."""

import fcntl
import os


def attempt(target):
    return fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK) == 0
