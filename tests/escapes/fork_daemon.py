"""Starts a process that outlives it and belongs to nobody."""

import os


def attempt(target):
    if os.fork() == 0:
        os.setsid()
        with open(target["mark"], "w") as file:
            file.write("out")
        os._exit(0)
    os.wait()
    return True
