"""How lines of plots differ: readable without colour, in fonts that a viewer has, the same figures as the same file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoqec.errors import UsageError
from autoqec.whole_files import require_place, written_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Line, marker and grey differ in print, the colour on a screen.
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
COLOURS = ("#000000", "#0072b2", "#d55e00", "#777777", "#009e73", "#cc79a7", "#e69f00")

#: File formats of plots.
FORMATS = (".png", ".svg", ".pdf")


def look_of(place: int) -> dict[str, Any]:
    """Colour, line and marker of the line of that place among others, as matplotlib names them."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": LINES[place % len(LINES)],
        "marker": MARKERS[place % len(MARKERS)],
    }


def check_plot(path: Path, formats: tuple[str, ...] = FORMATS, example: str = "comparison.png") -> None:
    """Refuse, before any work begins, a plot that cannot be written.

    Raises:
        UsageError: The format is unknown, or it cannot be written there.
    """
    if path.suffix not in formats:
        raise UsageError(f"--plot {path}: the file must end in {', '.join(formats)}", hint=f"--plot {example}")
    require_place(path)


@contextmanager
def plot_style() -> Iterator[None]:
    """Text stays text in an SVG, and the same figures give the same file."""
    import matplotlib as mpl

    white = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "white")
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "autoqec", "font.size": 9, **white}
    with mpl.rc_context(style):
        yield


def quiet_axes(axes: Axes) -> None:
    """A light grid, and no lines where there is no scale."""
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; the file's extension decides the format.

    Raises:
        UsageError, AutoQECError: It cannot be written.
    """
    with written_aside(path) as part:
        figure.savefig(part, dpi=150, metadata=_undated(path.suffix))


def svg_text(figure: Figure) -> str:
    """A figure as the text of an SVG."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata=_undated(".svg"))
    return file.getvalue().decode()


def _undated(suffix: str) -> dict[str, None] | None:
    """Metadata without the time, so that the same figures give the same file."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
