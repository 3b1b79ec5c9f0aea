"""Reads what a pseudo-terminal shows: the kernel hands it over in pieces, and not at once."""

import os

#: What is written last.
END = "<end>"


def read_to_the_end(descriptor):
    """All bytes up to what is written last; waits for them."""
    data = b""
    while END.encode() not in data:
        data += os.read(descriptor, 65536)
    return data.partition(END.encode())[0]
