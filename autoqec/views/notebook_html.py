"""Tables as HTML for notebooks. What agents, notes and environments say is text of others, so all of it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from autoqec.views.console import visible

#: A notebook shows so many rows of a list; the others are counted.
_MOST_ROWS = 50

#: A cell shows so many characters.
_MOST_CHARACTERS = 300


def html_table(title: str, rows: Sequence[Mapping[str, object]], columns: Iterable[str]) -> str:
    """Rows as a table.

    Args:
        title: What they are.
        rows: The values of each by column; a column that a row lacks is a dash in it.
        columns: The columns to show, in order.
    """
    names = list(columns)
    head = "".join(f"<th>{cell_html(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell_html(row.get(name))}</td>" for name in names) + "</tr>"
        for row in rows[:_MOST_ROWS]
    )
    more = f"<p>and {len(rows) - _MOST_ROWS:,} more</p>" if len(rows) > _MOST_ROWS else ""
    return f"<p>{cell_html(title)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def html_fields(title: str, fields: Mapping[str, object]) -> str:
    """The fields of one thing as a table of two columns; fields without a value are left out."""
    body = "".join(
        f"<tr><th>{cell_html(name)}</th><td>{cell_html(value)}</td></tr>"
        for name, value in fields.items()
        if value not in (None, "", ())
    )
    return f"<p>{cell_html(title)}</p><table><tbody>{body}</tbody></table>"


def cell_html(value: object) -> str:
    """A value as escaped text in few characters."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, tuple | list):
        return ", ".join(map(cell_html, value))
    text = visible(str(value))
    shown = text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
    return escape(shown, quote=True)
