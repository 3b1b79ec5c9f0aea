"""What a bad task does: functions that tests run in child processes to see that the parent survives."""

from __future__ import annotations

import time

from autoqec.sandbox.channel import Message


def allocate(message: Message) -> Message:
    """Ask for 16 GiB."""
    return Message({"bytes": len(bytearray(16 * 2**30))})


def hang(message: Message) -> Message:
    """Sleep for an hour."""
    time.sleep(3600)
    return Message({})
