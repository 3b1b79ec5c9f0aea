"""What a process has open, for tests of leaks: only what came since counts, because earlier tests may still close theirs."""

import contextlib
import os
from collections import Counter


def open_files(pid="self"):
    """The open descriptors of a process, counted by what they lead to; pipes and sockets have a number of their own."""
    found = Counter()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # it listed the folder
            found[os.readlink(f"/proc/{pid}/fd/{name}")] += 1
    return found


def opened_since(before, pid="self"):
    """What is open now and was not then. Files of earlier tests that are closed meanwhile do not show."""
    return sorted((open_files(pid) - before).elements())
