"""What a bad task does: functions that tests run in child processes to see that the parent survives."""

from __future__ import annotations

import os
import time

from autoqec.sandbox.channel import Message


def allocate(message: Message) -> Message:
    """Ask for 16 GiB."""
    return Message({"bytes": len(bytearray(16 * 2**30))})


def hang(message: Message) -> Message:
    """Sleep for an hour."""
    time.sleep(3600)
    return Message({})


def fork_and_hang(message: Message) -> Message:
    """Start two processes that sleep, and sleep."""
    for _ in range(2):
        if os.fork() == 0:
            break
    return hang(message)
