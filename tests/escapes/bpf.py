"""Loads a program into the kernel."""

import struct

from autoqec.testing.misbehave import syscall

ENDS = "SIGSYS"
CANNOT_HERE = "an ordinary user may not"


def attempt(target):
    attributes = struct.pack("IIIII", 2, 4, 8, 1, 0)  # an array of one number
    return syscall("bpf", 0, attributes, len(attributes)) >= 0
