"""The content of a page, without a format: headings, paragraphs, tables and fences of plain text.

A page that is made of these cannot let text from agents, notes or environments act: all text is data, and the writer of a format
escapes it. `markdown_text` writes Markdown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoqec.results.quoted_figures import Named, Quoted, Sentence
from autoqec.views.quoted_commands import split_commands


@dataclass(frozen=True)
class Code:
    """A name that a reader may type or copy, such as a round's or a command."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Words that stand out."""

    text: str


@dataclass(frozen=True)
class Link:
    """A link to a place that we name; its text is data. `target` is a file beside the page, or a `#section` of it."""

    text: str
    target: str


Inline = str | Code | Strong | Link

#: What stands in a line: a text, or several parts.
Line = Inline | Sequence[Inline]


@dataclass(frozen=True)
class Heading:
    """A heading of a level from 1; `anchor` is a name that links can name."""

    level: int
    words: Line
    anchor: str = ""


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    words: Line


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Sequence[Line]


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        headers: A name for each column.
        rows: Of as many cells.
        figures: Columns of figures, which stand at the right, by their place.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Line]]
    figures: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Fence:
    """Lines that stay as they are, such as a diff or a file; `language` colours them where the host can."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Quote:
    """Words of somebody else; each line of them is a line."""

    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks that a reader opens by a click, where the host can fold; elsewhere they are simply there."""

    summary: str
    blocks: Sequence[Block]


Block = Heading | Paragraph | Items | Grid | Fence | Quote | Folded


def parts_of(told: Sentence) -> tuple[Inline, ...]:
    """A sentence as parts of a line: names of the record as names, figures as text."""
    return tuple(_part(each) for each in told.parts)


def _part(part: str | Named | Quoted) -> Inline:
    if isinstance(part, Named):
        return Code(part.text)
    return part.text if isinstance(part, Quoted) else part


def said(told: Sentence) -> Paragraph:
    """A paragraph of a sentence."""
    return Paragraph(parts_of(told))


def with_commands(text: str) -> tuple[Inline, ...]:
    """A text as parts of a line, its commands as code: a reader copies them, so nothing may be added to them."""
    return tuple(Code(part) if is_command else part for part, is_command in split_commands(text))


def section(level: int, title: str, blocks: Sequence[Block]) -> list[Block]:
    """Blocks below a heading; without any, no heading either."""
    return [Heading(level, title), *blocks] if blocks else []


def commands(rows: Iterable[tuple[str, str]]) -> Fence:
    """Commands of a shell, each below a comment that says what it does: pairs of that and the command."""
    return Fence("\n".join(f"# {what}\n{command}" for what, command in rows), "sh")


def flat(line: Line) -> tuple[Inline, ...]:
    """The parts of a line."""
    return (line,) if isinstance(line, str | Code | Strong | Link) else tuple(line)


def joined(lines: Iterable[Line], between: str) -> tuple[Inline, ...]:
    """The parts of several lines, with text between them."""
    found: list[Inline] = []
    for each in lines:
        found += [between, *flat(each)] if found else flat(each)
    return tuple(found)
