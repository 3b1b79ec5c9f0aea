"""Makes a pipe with a name, where others wait for ever."""

import os


def attempt(target):
    os.mkfifo(f"{target['folder']}/fifo")
    return True
