"""The output streams: data to standard output, progress and messages to standard error.

Rich is imported only where it draws: importing it takes a tenth of the time of `log --json`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, TextIO

from autoqec.errors import AutoQECError
from autoqec.json_values import JsonObject
from autoqec.views.stand_ins import escaped, speaks_unicode

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from autoqec.views.fitted_console import FittedConsole

#: Erases what is drawn on the terminal now, if anything is.
_erase: Callable[[], None] | None = None


#: Where data goes while foreign code may print to `sys.stdout`.
_data: TextIO | None = None


@contextmanager
def foreign_prints_apart() -> Iterator[None]:
    """Have all that is printed to `sys.stdout` go to standard error, but for the data that this module prints."""
    global _data
    if _data is not None:
        yield
        return
    _data = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _data = None


def _data_output() -> TextIO:
    return sys.stdout if _data is None else _data


def erased_for_output(erase: Callable[[], None] | None) -> None:
    """Call `erase` before anything is printed, so that no line is printed behind or over a progress bar; None ends that."""
    global _erase
    _erase = erase


def _make_way() -> None:
    if _erase is not None:
        _erase()


#: No line is made narrower than this, or is padded to more: a terminal that is narrower breaks it.
_NARROWEST, _WIDEST = 20, 10_000

#: The width of a pipe: wide, so that a program that reads it gets whole lines.
_PIPE = 200


def out() -> FittedConsole:
    """Standard output, for data. Wide when it is not a terminal, so that a pipe gets whole lines."""
    from autoqec.views.fitted_console import FittedConsole

    _make_way()
    console = FittedConsole(file=_data_output(), highlight=False, soft_wrap=False)
    console.whole = not console.is_terminal and "COLUMNS" not in os.environ
    _size(console, _PIPE if console.whole else None)
    return console


def err() -> Console:
    """Standard error, for progress and messages."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if console.is_dumb_terminal or "COLUMNS" in os.environ:  # any other may change its size while something is drawn
        _size(console, None)
    return console


def _size(console: Console, width: int | None) -> None:
    """Set a console's width: the given one, that of COLUMNS, or that of its terminal, whatever the terminal is called.

    Rich looks at the other streams alone, and says 80 of a terminal that is dumb.
    """
    given = os.environ.get("COLUMNS", "")
    if width is None and given.isdigit() and int(given) > 0:
        width = int(given)
    if width is None and console.is_terminal:
        with suppress(OSError, ValueError):
            width = os.get_terminal_size(console.file.fileno()).columns or None
    from rich.console import ConsoleDimensions

    console.size = ConsoleDimensions(min(max(width or console.width, _NARROWEST), _WIDEST), console.height)


def plain(text: str) -> Text:
    """Text from a repository, an agent or a plugin, with control characters made visible: it may not drive a terminal."""
    from rich.text import Text

    return Text(visible(text))


def plain_line(text: str) -> Text:
    """The same for a text that is one line of what is printed: a line feed in it may not begin another line of ours."""
    return plain(text.replace("\n", " "))


def visible(text: str) -> str:
    """Text whose control characters, but for line feeds, are visible."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def print_json(objects: Iterable[JsonObject]) -> None:
    """One JSON object a line."""
    for item in objects:
        _make_way()
        output = _data_output()
        print(json.dumps(item, ensure_ascii=not speaks_unicode(output), allow_nan=False), file=output)


def print_data_lines(lines: Iterable[str]) -> None:
    """The same as `print_lines` for data, such as JSON: a character that the output lacks is spelled, so that none is lost."""
    text = "\n".join(lines)
    if text:
        _make_way()
        output = _data_output()
        print(text if speaks_unicode(output) else escaped(text), file=output)


def print_lines(lines: Iterable[str]) -> None:
    """Lines as they are, all in one write: a terminal or pipe makes each write cost more than the line."""
    text = "\n".join(lines)
    if text:
        _make_way()
        print(text, file=_data_output())


def print_error(error: AutoQECError) -> None:
    """Print an error, and on the next line its hint."""
    from rich.text import Text

    _make_way()
    console = err()
    # These codes add nothing to the exit code.
    code = "" if error.code in ("failed", "usage", "not_found") else f" [{error.code}]"
    console.print(Text("error: ", style="bold red") + plain(error.problem) + Text(code, style="dim"), soft_wrap=True)
    if error.hint:
        console.print(Text("  hint: ", style="bold") + plain(error.hint), soft_wrap=True)


def say(text: str, *, fitted: bool = False) -> None:
    """A message to the person, not data.

    Args:
        text: What to say.
        fitted: Break lines between words. Otherwise the terminal breaks them, so that you can copy commands.
    """
    _make_way()
    err().print(plain(text), soft_wrap=not fitted)
