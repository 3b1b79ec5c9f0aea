"""A real terminal, and what a person sees on it."""

import os
import pty

import pyte
from pty_reading import END, read_to_the_end


class TerminalScreen:
    """A terminal of so many columns.

    Attributes:
        file: What programs write to.
    """

    def __init__(self, columns):
        self._ours, theirs = pty.openpty()
        self.file = os.fdopen(theirs, "w")
        self._screen = pyte.Screen(columns, 40)
        self._stream = pyte.ByteStream(self._screen)

    def lines(self):
        """The lines that are not blank now, once all that was written has arrived."""
        self.file.write(END)
        self.file.flush()
        self._stream.feed(read_to_the_end(self._ours))
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def close(self):
        """Close both ends."""
        self.file.close()
        os.close(self._ours)
