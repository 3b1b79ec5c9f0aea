"""Tables that fit: where the terminal is narrow, words are cut first, then whole columns leave; no number is ever cut.

Each command that prints a table declares its columns: which stay, in what order the others leave, and which words may be cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from autoqec.views.console import plain
from autoqec.views.fitted_console import wrapped

#: What is between two columns.
_GAP = 2

#: A word as long as this may be broken between two lines; a shorter one makes its column as wide as it is.
_LONGEST = 32

#: A number with its sign, point and power of ten.
_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")

Cell = str | Text


@dataclass(frozen=True)
class Column:
    """A column, and how it gives way.

    Attributes:
        head: Its heading.
        right: Whether its cells stand at the right, as figures do.
        leaves: When it leaves where there is no room: the least number first; 0 for a column that stays.
        least: The least width to which its words are cut; 0 for a column whose cells stay whole.
        last: Whether its words are cut only where nothing else gives way.
        ends: Whether the cells are names: cut last, and then in the middle.
        wraps: Whether words continue on the next line, and are not cut.
    """

    head: str = ""
    right: bool = False
    leaves: int = 0
    least: int = 0
    last: bool = False
    ends: bool = False
    wraps: bool = False


def figures(head: str, leaves: int = 0) -> Column:
    """A column of figures."""
    return Column(head, right=True, leaves=leaves)


def print_table(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    headed: bool = True,
    indent: int = 0,
) -> None:
    """Print rows below headings; see `table_lines`."""
    lines = table_lines(columns, rows, console.width, headed=headed, indent=indent)
    if lines:
        console.print(Text("\n").join(lines), no_wrap=True, overflow="ignore", crop=False)


def table_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, *, headed: bool = True, indent: int = 0
) -> list[Text]:
    """The lines of a table, none of which is wider than `width` unless a single value is.

    Args:
        columns: The columns.
        rows: A cell for each column. Text from elsewhere is made harmless; a line feed in it is a blank.
        width: Of the terminal.
        headed: Whether to print headings.
        indent: Blanks before each line.

    Returns:
        The lines; where not even the columns that stay have room, each row as lines of `heading  value`.
    """
    cells = [[_cell(each) for each in row] for row in rows]
    natural = [
        max([cell_len(column.head) if headed else 0, *(row[place].cell_len for row in cells)])
        for place, column in enumerate(columns)
    ]
    shown = [
        place for place, column in enumerate(columns) if any(row[place].plain for row in cells) or not column.leaves
    ]
    widths = _widths(columns, cells, natural, shown, width - indent)
    if widths is None:
        return [line for row in cells for line in _stacked(columns, row, shown, width, indent)]
    margin = Text(" " * indent)
    heads = [[Text(column.head, style="bold") for column in columns]] if headed else []
    return [margin + line for row in [*heads, *cells] for line in _lines(columns, row, widths)]


def _cell(given: Cell) -> Text:
    text = given if isinstance(given, Text) else plain(given)
    if "\n" not in text.plain:
        return text
    return Text(" ".join(text.plain.split()), style=text.style)


def _widths(
    columns: Sequence[Column], cells: Sequence[Sequence[Text]], natural: Sequence[int], shown: list[int], width: int
) -> dict[int, int] | None:
    """The width of each column that is shown, by its place; None if those that stay have no room."""
    least = {place: min(natural[place], _least(columns[place], place, cells, natural[place])) for place in shown}
    last = {place: natural[place] for place in shown if columns[place].ends or columns[place].last}
    found = least | last  # they stay whole for as long as anything else can give way
    while sum(found.values()) + _GAP * (len(found) - 1) > width:
        leaving = [place for place in found if columns[place].leaves]
        if leaving:
            del found[min(leaving, key=lambda place: columns[place].leaves)]
        elif last:
            found |= {place: least[place] for place in last}
            last = {}
        else:
            return None
    spare = width - sum(found.values()) - _GAP * (len(found) - 1)
    for place in found:
        more = min(spare, natural[place] - found[place])
        found[place] += more
        spare -= more
    return found


def _least(column: Column, place: int, cells: Sequence[Sequence[Text]], natural: int) -> int:
    """The least width of a column; that of words that continue is the width of their longest word."""
    if not column.least:
        return natural
    if not column.wraps:
        return max(column.least, cell_len(column.head))
    words = [cell_len(word) for row in cells for word in row[place].plain.split()]
    return max([column.least, *(word for word in words if word <= _LONGEST)])


def _lines(columns: Sequence[Column], row: Sequence[Text], widths: dict[int, int]) -> Iterator[Text]:
    """A row: one line, or more if a column's words continue."""
    parts = {
        place: wrapped(row[place], width) if columns[place].wraps else [cut(row[place], width, columns[place].ends)]
        for place, width in widths.items()
    }
    for number in range(max(map(len, parts.values()), default=0)):
        line = Text()
        for place, width in widths.items():
            part = parts[place][number] if number < len(parts[place]) else Text()
            space = Text(" " * (width - part.cell_len))
            line += (Text(" " * _GAP) if line.plain else Text()) + (
                space + part if columns[place].right else part + space
            )
        line.rstrip()
        yield line


def cut(text: Text, width: int, ends: bool = False) -> Text:
    """A text of at most so many cells, with an ellipsis in the place of what is left out; no number in it is cut.

    Args:
        text: The text, on one line.
        width: The most cells.
        ends: Whether to keep its end too.
    """
    if text.cell_len <= width:
        return text
    if not ends or width < 8:
        return _start(text, width - 1) + Text("…", style=text.style)
    tail = _end(text, (width - 1) // 2)
    return _start(text, width - 1 - tail.cell_len) + Text("…", style=text.style) + tail


def _start(text: Text, width: int) -> Text:
    """The first cells of a text, without the number that would be cut."""
    place = _place(text.plain, width)
    for number in _NUMBER.finditer(text.plain):
        if number.start() < place < number.end():
            place = number.start()
    part = text[:place]
    part.rstrip()
    return part


def _end(text: Text, width: int) -> Text:
    """The last cells of a text, without the number that would be cut."""
    place = len(text.plain) - _place(text.plain[::-1], width)
    for number in _NUMBER.finditer(text.plain):
        if number.start() < place < number.end():
            place = number.end()
    return text[place:]


def _place(text: str, width: int) -> int:
    """How many characters, with the marks that combine with them, fit into so many cells."""
    taken = 0
    for place, character in enumerate(text):
        taken += cell_len(character)
        if taken > width:
            return place
    return len(text)


def _stacked(
    columns: Sequence[Column], row: Sequence[Text], shown: Sequence[int], width: int, indent: int
) -> Iterator[Text]:
    """A row as lines of `heading  value` below its first value."""
    for number, place in enumerate(shown):
        if not row[place].plain:
            continue
        head = columns[place].head if number else ""
        margin = " " * (indent + (2 if number else 0))
        whole = (Text(f"{head}  ", style="bold") if head else Text()) + row[place]
        parts = wrapped(whole, max(width - len(margin), 1))
        yield from (Text(margin) + part for part in parts)
