"""Rows of sinter's CSV format: written as sinter writes them, and read as it reads them, without sinter.

`sinter plot` and `sinter combine` read these files, and rows of sinter are read here. sinter is an optional package, and the same
rows must give the same file whatever is installed; so this is the format itself, and tests compare both directions with sinter.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from autoqec.errors import UsageError
from autoqec.json_values import JsonObject

#: The columns, and how wide sinter makes the first ones.
COLUMNS = ("shots", "errors", "discards", "seconds", "decoder", "strong_id", "json_metadata", "custom_counts")
_WIDTHS = (10, 10, 10, 8, 0, 0, 0, 0)

#: Shots of a row, at most: so many take years, and sums of them are still exact as floating-point numbers.
_MOST_SHOTS = 10**15

#: Those that a file may lack, as files of older versions of sinter do.
_OPTIONAL = {"custom_counts"}


@dataclass(frozen=True)
class SinterRow:
    """A row: some shots of one task. Rows with the same `strong_id` add up.

    Attributes:
        shots, errors, discards: Counts.
        seconds: What they took.
        decoder: The decoder's name.
        strong_id: What tells tasks apart.
        json_metadata: What `sinter plot` groups by.
        custom_counts: Further counts by name.
    """

    shots: int
    errors: int
    discards: int
    seconds: float
    decoder: str
    strong_id: str
    json_metadata: JsonObject
    custom_counts: Mapping[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """The row as sinter writes it, without the end of the line."""
        counts = _json(dict(self.custom_counts)) if self.custom_counts else ""
        metadata = _json(self.json_metadata)
        cells = (self.shots, self.errors, self.discards, _seconds(self.seconds), self.decoder, self.strong_id)
        return _line([*(str(cell) for cell in cells), metadata, counts])


def header() -> str:
    """The first line of a file, without its end."""
    return _line(list(COLUMNS))


def read_rows(text: str, *, name: str, first: int = 1, columns: tuple[str, ...] | None = None) -> list[SinterRow]:
    """Read rows.

    Args:
        text: Whole lines.
        name: What to call the file in an error.
        first: The number of the first line.
        columns: The columns, if `text` is the rest of a file and does not begin with them.

    Raises:
        UsageError: A line is not a row, or the file has no such columns; names the line.
    """
    reader = csv.reader(io.StringIO(text), strict=True)
    found = []
    try:
        for cells in reader:
            if not cells:
                continue
            if columns is None:
                columns = _columns(cells, name)
                continue
            found.append(_row(dict(zip(columns, cells, strict=True))))
    except (csv.Error, ValueError, KeyError, TypeError, RecursionError) as error:
        line = first + max(0, reader.line_num - 1)
        raise UsageError(
            f"{name}, line {line}: not a row of sinter's CSV format ({type(error).__name__}: {error})",
            hint="remove or correct that line, or choose another file",
        ) from error
    return found


def columns_of(text: str, *, name: str) -> tuple[str, ...]:
    """The columns that a file's first line names.

    Raises:
        UsageError: One is missing.
    """
    return _columns(next(csv.reader([text]), []), name)


def _columns(cells: list[str], name: str) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in cells)
    missing = [each for each in COLUMNS if each not in columns and each not in _OPTIONAL]
    if missing:
        raise UsageError(
            f"{name} is not a CSV file of sinter: it has no column {missing[0]}", hint="choose another file"
        )
    return columns


def _row(cells: Mapping[str, str]) -> SinterRow:
    metadata = json.loads(cells["json_metadata"])
    counts = json.loads(cells.get("custom_counts") or "{}")
    if not isinstance(counts, dict) or not all(isinstance(value, int) for value in counts.values()):
        raise ValueError("custom_counts holds something else than counts")
    shots, errors, discards = (int(cells[name]) for name in COLUMNS[:3])
    if min(shots, errors, discards) < 0 or errors + discards > shots:
        raise ValueError(f"impossible counts: {errors} errors in {shots} shots")
    seconds = float(cells["seconds"])
    if shots > _MOST_SHOTS or not 0 <= seconds < inf:
        raise ValueError("more shots than anybody counts, or no number of seconds")
    return SinterRow(
        shots,
        errors,
        discards,
        seconds,
        cells["decoder"],
        cells["strong_id"],
        metadata if isinstance(metadata, dict) else {},
        counts,
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.{3 if seconds < 1 else 2 if seconds < 10 else 1}f}"


def _json(value: JsonObject) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _line(cells: list[str]) -> str:
    return ",".join(_escaped(cell).rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True))


def _escaped(cell: str) -> str:
    if not cell:
        return ""
    output = io.StringIO()
    csv.writer(output).writerow([cell])
    return output.getvalue().strip()
