"""A console whose lines are no wider than the terminal and never end in spaces, whatever prints them."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from autoqec.views.quoted_commands import split_commands

#: Spaces that end a line, before the codes that end its style.
_SPACES = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)

#: Blanks at which no line may break: around the signs of equality and multiplication, before a unit, within an interval.
_INSIDE = re.compile(
    r"(?<=\S) (?=[=·] )|(?<= [=·]) (?=\S)|(?<=\blog) (?=\d)|(?<=\d) (?=(?:%|s|µs|ms|[KMG]i?B)(?![^\W_]))"
    r"|(?<=\d,) (?=[-+]?[\d.∞]+\])"
)

#: A part of a formula, in which no line may break either.
_BRACKETED = re.compile(r"\([^()\n]{1,24}\)")

#: A digest, and how many digits are left of one that is longer than a line.
_DIGEST = re.compile(r"[0-9a-f]{40,}")
_DIGITS = 12

#: What stands for such a blank while lines are broken; no text that is printed has it, because it is not printable.
_BOUND = "\ue000"


def bind(text: str, width: int) -> str:
    """Text in which no line of so many cells breaks inside a value: wrap it, and then `unbind` the lines.

    Nor does one break inside a command, which could not be pasted.
    A formula that is longer than a line may break before its signs of equality, and if that is not enough, at its blanks.
    """
    text = "".join(bound(part) if is_command else part for part, is_command in split_commands(text))
    whole = _BRACKETED.sub(lambda part: part[0].replace(" ", _BOUND), _INSIDE.sub(_BOUND, text))
    return " ".join(_loosened(word, width) for word in whole.split(" "))


def _loosened(word: str, width: int) -> str:
    if _BOUND not in word or cell_len(word) <= width:
        return word
    parts = word.replace(f"{_BOUND}=", " =").split(" ")
    return " ".join(part if cell_len(part) <= width else unbind(part) for part in parts)


def bound(text: str) -> str:
    """Text in which no line breaks at all, unless it is longer than the line."""
    return text.replace(" ", _BOUND)


def unbind(text: str) -> str:
    """The inverse of `bind`."""
    return text.replace(_BOUND, " ")


#: Wraps text; it prints nothing.
_WRAPS = Console(file=StringIO(), width=80)


def _with(text: Text, characters: str) -> Text:
    """The same styles on as many other characters."""
    changed = text.copy()
    changed.plain = characters
    return changed


def wrapped(text: Text, width: int) -> list[Text]:
    """A line of text as lines of at most so many cells, broken between words and never inside a value.

    A digest that is longer than a line is cut: its first digits tell it from any other.
    """
    if text.cell_len <= width:
        return [_with(text, unbind(text.plain))]
    for digest in reversed([*_DIGEST.finditer(text.plain)]):
        if len(digest[0]) > width:
            start, end = digest.span()
            text = text[: start + _DIGITS] + Text("…") + text[end:]
    parts = _with(text, bind(text.plain, width)).wrap(_WRAPS, width)
    for part in parts:
        part.rstrip()
    return [_with(part, unbind(part.plain)) for part in parts]


class FittedConsole(Console):
    """Breaks lines between words; a line goes on below its own indentation.

    Attributes:
        whole: Leave lines whole that are printed with `soft_wrap`, for programs that read them.
    """

    whole = False

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        """See `rich.console.Console.print`."""
        if not (soft_wrap and self.whole):
            soft_wrap = False
        if not soft_wrap and not options.get("no_wrap"):
            objects = tuple(self._fitted(each) for each in objects)
        with self.capture() as captured:
            super().print(*objects, soft_wrap=soft_wrap, **options)
        self.file.write(_SPACES.sub(r"\1", captured.get()))
        self.file.flush()

    def print_whole(self, text: Text) -> None:
        """Lines with something to copy, such as a command: a line break would spoil it, and a terminal's own does not."""
        self.print(text, no_wrap=True, overflow="ignore", crop=False)

    def _fitted(self, printed: Any) -> Any:
        """Text with line breaks that keep each line's indentation; anything else as it is."""
        if not isinstance(printed, Text):
            return printed
        lines = []
        for line in printed.split("\n", allow_blank=True):
            indent = len(line.plain) - len(line.plain.lstrip(" "))
            if line.cell_len <= self.width or indent > self.width // 2:
                lines.append(_with(line, unbind(line.plain)))
                continue
            margin = Text(" " * indent)
            lines += [margin + part for part in wrapped(line[indent:], self.width - indent)]
        return Text("\n", style=printed.style, end=printed.end).join(lines)
