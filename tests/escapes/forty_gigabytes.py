"""Takes more memory than there is."""

import mmap

MAP_NORESERVE = 0x4000


def attempt(target):
    block = mmap.mmap(-1, 40 * 2**30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    block[0] = 1
    return len(block)
