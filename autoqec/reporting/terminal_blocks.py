"""Prints blocks on a terminal: no line is wider than it, tables fit, and text of others is made harmless."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from autoqec.reporting.page_blocks import Block, Fence, Folded, Grid, Heading, Items, Line, Paragraph, Quote, flat
from autoqec.views.console import out, plain
from autoqec.views.fitted_console import FittedConsole
from autoqec.views.fitted_table import Column, print_table

#: The least width of a column of words.
_WORDS = 12


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print blocks to standard output."""
    console = out()
    before: Block | None = None
    for block in blocks:
        if before is not None and not isinstance(before, Heading):
            console.print()
        _print(console, block)
        before = block


def _print(console: FittedConsole, block: Block) -> None:
    match block:
        case Heading():
            console.print(_text(block.words, "bold"))
        case Paragraph():
            console.print(_text(block.words))
        case Items():
            print_table(
                console,
                [Column(), Column(least=_WORDS, wraps=True)],
                [("-", _text(each)) for each in block.items],
                headed=False,
            )
        case Grid():
            _print_grid(console, block)
        case Fence():
            for line in block.text.split("\n"):
                if block.language == "sh" and not line.startswith("#"):
                    console.print_whole(plain(line))
                    continue
                console.print(
                    plain(line), style={"+": "green", "-": "red"}.get(line[:1], "") if block.language == "diff" else ""
                )
        case Quote():
            console.print(plain(block.text))
        case Folded():
            console.print(Text(block.summary, style="bold"))
            for each in block.blocks:
                _print(console, each)


def _print_grid(console: FittedConsole, grid: Grid) -> None:
    columns = [
        Column(
            head,
            right=place in grid.figures,
            least=0 if place in grid.figures else _WORDS,
            wraps=place not in grid.figures,
        )
        for place, head in enumerate(grid.headers)
    ]
    print_table(console, columns, [[_text(cell) for cell in row] for row in grid.rows])


def _text(line: Line, style: str = "") -> Text:
    """The parts of a line, as they are typed."""
    words = "".join(part if isinstance(part, str) else part.text for part in flat(line))
    told = plain(words)
    told.stylize(style)
    return told
