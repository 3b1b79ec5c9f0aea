"""How lines of plots differ: readable without colour, in fonts that a viewer has, the same figures as the same file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import floor, isclose, log10
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

#: Fonts by name, the first of which matplotlib brings along; a viewer of an SVG takes the first that it has. Verdana is as wide.
FONTS = ("DejaVu Sans", "Verdana")

#: An axis that spans less has a number at 1, 2 and 5 of each power of ten: else it would have hardly any.
_PLAIN_SPAN = 30

#: Where a power of ten has ticks, from the widest axis to the narrowest; and how many an axis has at least.
_STEPS: tuple[tuple[float, ...], ...] = (
    (1.0,),
    (1.0, 2.0, 5.0),
    (1.0, 2.0, 3.0, 5.0, 7.0),
    tuple(1 + number / 2 for number in range(18)),
    tuple(1 + number / 10 for number in range(90)),
)
_LEAST_TICKS = 2

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

#: File formats of plots.
FORMATS = (".png", ".svg", ".pdf")


def look_of(place: int) -> dict[str, Any]:
    """Colour, line and marker of the line of that place among others, as matplotlib names them."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": LINES[place % len(LINES)],
        "marker": MARKERS[place % len(MARKERS)],
    }


def check_plot(
    path: Path, formats: tuple[str, ...] = FORMATS, example: str = "--plot comparison.png", option: str = "--plot"
) -> None:
    """Refuse, before any work begins, a plot that cannot be written.

    Args:
        path: The file.
        formats: The extensions that it may have.
        example: What to write instead.
        option: The option that names it.

    Raises:
        UsageError: The format is unknown, or it cannot be written there.
    """
    if path.suffix not in formats:
        raise UsageError(f"{option} {path}: the file must end in {', '.join(formats)}", hint=example)
    require_place(path)


@contextmanager
def plot_style() -> Iterator[None]:
    """The same figures give the same file, whatever style a user has set; text stays text in an SVG, and is never a formula.

    A letter that no font here has is drawn as a box, and the viewer of an SVG finds it in a font of its own.
    """
    import matplotlib as mpl

    white = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "white")
    text = {
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.sans-serif": list(FONTS),
        "text.parse_math": False,
    }
    style: dict[Any, Any] = {"svg.hashsalt": "autoqec", "font.size": 9, **white, **text}
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        yield


def quiet_axes(axes: Axes) -> None:
    """A light grid, and no lines where there is no scale."""
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def log_ticks(axis: Any, span: float, numbers: Callable[[float], str] | None = None) -> None:
    """Ticks of a log scale, with numbers in plain text; two at least, since one alone gives no scale.

    Args:
        axis: The x or y axis of a plot, whose limits are set.
        span: Its upper end over its lower one.
        numbers: How to write a number; by default powers of ten, and plain numbers where there are few of those.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    close = bool(span < _PLAIN_SPAN)  # a number of numpy gives a bool of its own, which slices nothing
    low, high = sorted(axis.get_view_interval())
    steps = (each for each in _STEPS[close:] if _ticks_between(low, high, each) >= _LEAST_TICKS)
    axis.set_major_locator(LogLocator(subs=next(steps, _STEPS[-1])))
    write = numbers or ((lambda value: f"{value:g}") if close else power_of_ten)
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axis.set_minor_formatter(NullFormatter())


def _ticks_between(low: float, high: float, steps: Sequence[float]) -> int:
    """How many ticks a log scale has between its ends."""
    if not 0 < low <= high:
        return 0
    powers = range(floor(log10(low)), floor(log10(high)) + 1)
    return sum(low <= step * 10.0**power <= high for power in powers for step in steps)


def power_of_ten(value: float) -> str:
    """A power of ten in few letters, such as 10⁻³; any other number in figures."""
    exponent = round(log10(value)) if value > 0 else 0
    if not isclose(value, 10.0**exponent) or 0 <= exponent <= 3:
        return f"{value:g}"
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


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
