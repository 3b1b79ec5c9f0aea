"""Makes a call in the 32-bit convention, whose numbers mean something else."""

import ctypes
import mmap
import os

ENDS = "SIGSYS"
MACHINE = "x86_64"
CANNOT_HERE = "a kernel may not have the convention"


def attempt(target):
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # mov eax, getpid; int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid()
