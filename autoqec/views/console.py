"""Where output goes: data to standard output, everything said along the way to standard error."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from autoqec.errors import AutoQECError


def out() -> Console:
    """Standard output, for data. Wide when it is not a terminal, so that a pipe gets whole lines."""
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200
    return console


def err() -> Console:
    """Standard error, for progress and messages."""
    return Console(stderr=True, highlight=False)


def plain(text: str) -> Text:
    """Text from a repository, an agent or a plugin, with control characters made visible: it may not drive a terminal."""
    return Text("".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text))


def print_json(objects: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    for item in objects:
        print(json.dumps(item, ensure_ascii=False, allow_nan=False))


def print_lines(lines: Iterable[str]) -> None:
    """Lines as they are, all in one write: a terminal or pipe makes each write cost more than the line."""
    text = "\n".join(lines)
    if text:
        print(text)


def print_error(error: AutoQECError) -> None:
    """What is wrong, and on the next line what mends it."""
    console = err()
    console.print(Text("error: ", style="bold red") + plain(error.problem), soft_wrap=True)
    if error.mend:
        console.print(Text("  mend: ", style="bold") + plain(error.mend), soft_wrap=True)


def say(text: str) -> None:
    """A message to the person, not data."""
    err().print(plain(text), soft_wrap=True)
