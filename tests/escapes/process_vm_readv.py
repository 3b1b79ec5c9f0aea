"""Reads the judge's memory by the call that debuggers use."""

import ctypes
import os
import struct

from autoqec.testing.misbehave import syscall

ENDS = "SIGSYS"


def attempt(target):
    buffer = ctypes.create_string_buffer(6)
    here = struct.pack("@PN", ctypes.addressof(buffer), 6)
    there = struct.pack("@PN", target["address"], 6)
    syscall("process_vm_readv", os.getppid(), here, 1, there, 1, 0)
    return buffer.raw == b"SECRET"
