"""A real terminal, and what a person sees on it."""

import os
import pty

import pyte

#: Ends what is read; no terminal shows it, because it is taken out before.
_END = b"\x00end\x00"


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
        """The lines that are not blank now. The kernel hands on what was written when it likes; a mark says that all is here."""
        self.file.write(_END.decode())
        self.file.flush()
        data = b""
        while not data.endswith(_END):
            data += os.read(self._ours, 65536)
        self._stream.feed(data.removesuffix(_END))
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def close(self):
        """Close both ends."""
        self.file.close()
        os.close(self._ours)
