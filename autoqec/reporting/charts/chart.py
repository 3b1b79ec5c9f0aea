"""A chart: a figure, the rows of numbers that it shows, and what to say of each mark; as SVG, PNG, PDF and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoqec.errors import UsageError
from autoqec.reporting.charts.chart_words import shown_words
from autoqec.reporting.charts.drawing import Drawing, narrow
from autoqec.reporting.charts.marked_svg import marked_svg
from autoqec.views.line_styles import plot_style, save_figure, svg_text
from autoqec.whole_files import explained, write_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: How long a text in a table is at most.
_MOST_LETTERS = 1000


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: `front`, `climb`, `rates`, `learning`, `forks` or `gap`; the ids in its SVG begin with it.
        title: What it shows, in words.
        row_type: The record of a row.
        rows: The numbers that it shows, in units that the names of the fields say.
        draw: Draws it. It is called within `plot_style`.
        nothing: Why there is nothing to show; empty if there is something.
        hint: What to do where there is nothing to show.
        heading: What a page calls it, where that follows from what is drawn.
    """

    name: str
    title: str
    row_type: type[DataclassInstance]
    rows: Sequence[Any]
    draw: Callable[[], Drawing]
    nothing: str = ""
    hint: str = "autoqec log lists the rounds"
    heading: str = ""

    def svg(self, *, small: bool = False) -> str:
        """The text of an SVG, in which each mark has an id, `<name>-<group>-<number>`, and a title.

        Args:
            small: Half as wide, for a page that has the title elsewhere.
        """
        with plot_style(), narrow() if small else nullcontext():
            drawing = self.draw()
            return marked_svg(svg_text(drawing.figure), self.name, self.title, drawing.titles)

    def columns(self) -> list[str]:
        """The names of the columns of its table."""
        return [each.name for each in fields(self.row_type)]

    def csv(self) -> str:
        """The rows as CSV (RFC 4180): a line of names first, and an empty cell where there is no number."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(self.columns())
        writer.writerows([_cell(getattr(row, name)) for name in self.columns()] for row in self.rows)
        return text.getvalue()

    def save(self, path: Path) -> Path:
        """Write the picture, in the format that the file's extension says, and its rows beside it.

        Returns:
            The file of rows.

        Raises:
            UsageError, AutoQECError: One of them cannot be written, or a file of something else stands in the rows' place.
        """
        table = path.with_suffix(".csv")
        self.require_table(table)
        if path.suffix == ".svg":
            write_file(path, self.svg().encode())
        else:
            with plot_style():
                save_figure(self.draw().figure, path)
        write_file(table, self.csv().encode())
        return table

    def require_table(self, table: Path) -> None:
        """Refuse to replace a file that is no table of such a chart, such as the counts of a sweep.

        Raises:
            UsageError: It is one.
        """
        if not table.is_file():
            return
        header = ",".join(self.columns())
        with explained(table), table.open(encoding="utf-8", errors="replace") as file:
            first = file.readline(len(header) + 3).rstrip("\r\n")
        if first and first != header:
            raise UsageError(
                f"{table} is there and holds something else: the rows of the picture would replace it",
                hint="give the picture another name, or move that file",
                code="not_written",
            )


def _cell(value: Any) -> Any:
    """A value in a cell. Numbers keep all digits; what a spreadsheet would run as a formula gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = shown_words(value, _MOST_LETTERS)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
