"""Standard streams of a command: data has a descriptor of its own, so that nothing foreign is ever printed among it.

Plugins, decoders and the libraries below them print when they like, some of them from C++ and at the end of the process. From the
first moment, descriptor 1 is therefore standard error, and what was standard output is known to `autoqec.views.console` alone.
"""

from __future__ import annotations

import codecs
import functools
import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any

from autoqec.whole_files import standard_output_is

#: The descriptor on which data leaves; another one once `take_streams` was called.
_data = 1

_MARK = "_prints_apart"


def take_streams() -> None:
    """Set up the streams of this process; call this once, before anything else is imported or opened.

    A stream that is closed gets a stand-in, so that no file of ours takes its number: reading ends at once, messages are lost,
    and data is refused with EBADF.
    """
    global _data
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free
    if sys.stdin is None:  # it was closed
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    _data = os.dup(1)
    os.dup2(2, 1)
    standard_output_is(_data)
    codecs.register_error("autoqec-spell", _spelled)
    before = sys.stdout
    data = io.TextIOWrapper(os.fdopen(_data, "wb"), (before or sys.stderr).encoding, "autoqec-spell")
    if isinstance(before, io.TextIOWrapper):
        data.reconfigure(line_buffering=before.line_buffering or before.write_through)
    sys.stdout = data
    vars(sys)["__stdout__"] = data  # by which others find the terminal's width
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="autoqec-spell")


def hand_back() -> None:
    """Make descriptor 1 standard output again, for a command of a plugin: all that it prints is its own data."""
    if _data != 1:
        import ctypes

        ctypes.CDLL(None).fflush(None)  # what C code of any plugin has printed so far is no data of this one's
        os.dup2(_data, 1)


def reader_is_gone() -> bool:
    """Tell whether the reader of our data is gone."""
    poll = select.poll()
    poll.register(_data, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def drop_output() -> None:
    """Send what is still to be written as data nowhere; Python would fail on it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), _data)


def prints_apart(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a command of ours: what is printed to `sys.stdout` in it is a message.

    Its data goes through `autoqec.views.console`.
    """
    if hasattr(callback, _MARK):
        return callback

    @functools.wraps(callback)
    def apart(*args: Any, **options: Any) -> Any:
        from autoqec.views.console import foreign_prints_apart

        with foreign_prints_apart():
            return callback(*args, **options)

    setattr(apart, _MARK, True)
    return apart


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Spell characters that an encoding lacks with look-alikes, or as JSON does.

    No character may end a command: text from anywhere may hold half a surrogate pair, and a locale may know ASCII alone.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from autoqec.views.stand_ins import spelled

    return spelled(error.object[error.start : error.end]), error.end
