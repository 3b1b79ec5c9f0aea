"""A figure while it is drawn: panels at fixed places, and marks that know what to say of themselves.

Places are in inches and follow from no font, so that the same figures give the same picture with any version of a font. Thousands
of marks of one look are one object of matplotlib: one each would take half a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from autoqec.reporting.charts.chart_words import shown_name
from autoqec.views.line_styles import quiet_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width of a chart in inches: 800 pixels, as wide as a text on most pages.
WIDE = 8.3

#: Colours of words and marks, of what is less important, and of lines behind all.
INK, SOFT, FAINT, PAPER = "#111111", "#666666", "#b0b0b0", "#ffffff"

#: From this many marks on, those that would cover each other are drawn once.
MANY = 1000

#: How close these are: a fraction of a panel's width and height.
_SAME_PLACE = 1 / 700


@dataclass(frozen=True)
class MarkTitle:
    """What is said of a mark: words in lines, and the round that it is about, if any."""

    words: str
    round: str | None = None


@dataclass(frozen=True)
class Mark:
    """A mark at a place, with its interval; an end of it is None where it is open."""

    x: float
    y: float
    title: MarkTitle
    low: float | None = None
    high: float | None = None
    open_above: bool = False


@dataclass
class Drawing:
    """A figure, and what to say of its marks.

    Attributes:
        figure: Of matplotlib.
        titles: By the id of a group of marks, one for each of its marks.
    """

    figure: Figure
    titles: dict[str, Sequence[MarkTitle]] = field(default_factory=dict)

    @staticmethod
    def of(high: float, title: str, below: str = "") -> Drawing:
        """An empty figure with a title, so many inches high, and perhaps a line below."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDE, high))
        figure.text(0.12 / WIDE, 1 - 0.24 / high, title, fontsize=10.5, fontweight="bold", color=INK)
        if below:
            figure.text(0.12 / WIDE, 0.09 / high, below, fontsize=8, color=SOFT)
        return Drawing(figure)

    def panels(
        self, count: int, *, top: float = 0.45, bottom: float = 0.98, right: float = 0.15, shared: bool = True
    ) -> list[Axes]:
        """Panels side by side, with margins in inches; `shared`: they have one y axis."""
        high = self.figure.get_figheight()
        left, gap = 0.72, 0.2 if shared else 0.72
        wide = (WIDE - left - right - gap * (count - 1)) / count
        found: list[Axes] = []
        for place in range(count):
            across = (left + place * (wide + gap)) / WIDE
            box = (across, bottom / high, wide / WIDE, (high - top - bottom) / high)
            axes = self.figure.add_axes(box, sharey=found[0] if found and shared else None)
            quiet_axes(axes)
            axes.tick_params(colors=INK, labelsize=8.5, labelleft=not (found and shared))
            for spine in axes.spines.values():
                spine.set_color(SOFT)
            found.append(axes)
        return found

    def marks(self, axes: Axes, group: str, marks: Sequence[Mark], look: Mapping[str, Any], bar: float = 0.9) -> None:
        """Draw marks of one look with their intervals, in an SVG group of that id.

        Args:
            axes: The panel, whose limits are set.
            group: The id.
            marks: The marks. What lies outside the limits is drawn at the edge.
            look: Colour, marker and so on, as `Axes.scatter` names them.
            bar: Width of the line of an interval; 0 for none.
        """
        shown = _apart(axes, [mark for mark in marks if isfinite(mark.x) and isfinite(mark.y)])
        if not shown:
            return
        (low, high), colour = sorted(axes.get_ylim()), look.get("edgecolors", look.get("color", INK))
        barred = [mark for mark in shown if bar and mark.low is not None]
        if barred:
            ends = [(max(mark.low or 0.0, low), high if mark.high is None else mark.high) for mark in barred]
            lows, highs = [min(a, high) for a, _ in ends], [max(low, min(b, high)) for _, b in ends]
            order = {"linewidth": bar, "zorder": look.get("zorder", 2) - 0.1, "alpha": look.get("alpha")}
            axes.vlines([mark.x for mark in barred], lows, highs, colors=colour, **order)
            _arrows(axes, [mark.x for mark in barred if mark.high is None], high, colour, look)
        places = [min(max(mark.y, low), high) for mark in shown]
        points = axes.scatter([mark.x for mark in shown], places, clip_on=False, **look)
        points.set_gid(group)
        self.titles[group] = [mark.title for mark in shown]

    def legend(self, entries: Sequence[tuple[str, Mapping[str, Any]]], *, columns: int = 5) -> None:
        """What marks and lines mean, below the panels.

        Args:
            entries: The words of each, and how it looks, as `Line2D` names it.
            columns: How many stand in a row.
        """
        from matplotlib.lines import Line2D

        if not entries:
            return
        handles = [Line2D([], [], **look) for _, look in entries]
        style: dict[str, Any] = {
            "frameon": False,
            "fontsize": 8.5,
            "labelcolor": INK,
            "handlelength": 2.2,
            "columnspacing": 1.6,
        }
        place = (0.06 / WIDE, 0.22 / self.figure.get_figheight())
        # A label that begins with an underscore would get no entry, so labels get their text afterwards.
        blank = ["x" * len(shown_name(words)) for words, _ in entries]
        found = self.figure.legend(handles, blank, ncols=columns, loc="lower left", bbox_to_anchor=place, **style)
        for text, (words, _) in zip(found.get_texts(), entries, strict=True):
            text.set_text(shown_name(words))

    def whole_numbers(self, axis: Any) -> None:
        """Let an axis have ticks at whole numbers only."""
        from matplotlib.ticker import MaxNLocator

        axis.set_major_locator(MaxNLocator(nbins="auto", integer=True))

    def say_nothing(self, axes: Axes, why: str) -> None:
        """Say in an empty panel why it is empty."""
        axes.set_axis_off()
        axes.text(0.5, 0.5, shown_name(why, 90), ha="center", va="center", color=SOFT, transform=axes.transAxes)


def _arrows(axes: Axes, places: Sequence[float], high: float, colour: Any, look: Mapping[str, Any]) -> None:
    """Arrows at the upper edge, where an interval has no upper end."""
    if places:
        style = {"marker": "^", "s": 14, "color": colour, "alpha": look.get("alpha"), "linewidths": 0}
        axes.scatter(places, [high] * len(places), clip_on=False, zorder=look.get("zorder", 2), **style)


def _apart(axes: Axes, marks: Sequence[Mark]) -> list[Mark]:
    """The marks; of many, those that do not cover an earlier one."""
    if len(marks) <= MANY:
        return list(marks)
    scale = axes.transLimits.transform
    flat = axes.transScale.transform([(mark.x, mark.y) for mark in marks])
    places = scale(flat)
    seen: dict[tuple[int, int], Mark] = {}
    for mark, (x, y) in zip(marks, places, strict=True):
        seen.setdefault((int(x / _SAME_PLACE), int(y / _SAME_PLACE)), mark)
    return list(seen.values())


def label_marks(axes: Axes, places: Sequence[tuple[float, float]], names: Sequence[str], *, size: float = 8.0) -> None:
    """Name marks beside them, where no other mark or name is; those for which there is no room get no name.

    Args:
        axes: The panel, whose limits and scales are set.
        places: The marks, the most important first.
        names: What to call them.
    """
    figure = axes.figure
    assert figure is not None
    per_inch = figure.dpi
    points = [tuple(place) for place in axes.transData.transform(list(places))] if places else []
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    for (x, y), place, name in zip(points, places, names, strict=True):
        text = shown_name(name)
        wide, high = 0.62 * size * len(text) * per_inch / 72, 1.2 * size * per_inch / 72
        for aside, up, align in ((6, 3, "left"), (-6, 3, "right"), (6, -11, "left"), (-6, -11, "right")):
            left = x + aside * per_inch / 72 - (wide if align == "right" else 0.0)
            low = y + up * per_inch / 72
            box = (left, low, left + wide, low + high)
            if _inside(axes, box) and not any(_overlap(box, other) for other in taken):
                axes.annotate(
                    text, place, (aside, up), textcoords="offset points", ha=align, fontsize=size, color=INK, zorder=6
                )
                taken.append(box)
                break


def _inside(axes: Axes, box: tuple[float, float, float, float]) -> bool:
    edge = axes.bbox
    return edge.x0 <= box[0] and box[2] <= edge.x1 and edge.y0 <= box[1] and box[3] <= edge.y1 + 6


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def lines_at(axes: Axes, levels: Sequence[tuple[float, str, Any]], *, room: float, letters: int = 22) -> None:
    """Horizontal lines, named at the right of the panel, where names keep apart.

    Args:
        axes: The last panel, whose limits are set.
        levels: Height, name and style of each line.
        room: How close two names may be, in parts of the panel's height.
        letters: How long a line of a name is at most.
    """
    low, high = axes.get_ylim()
    inside = sorted((y, name) for y, name, _ in levels if min(low, high) <= y <= max(low, high))
    at = -inf
    for y, name in inside:
        share = axes.transLimits.transform(axes.transScale.transform((1.0, y)))[1]
        at = max(share, at + room)
        head, _, tail = name.partition("\n")
        text = "\n".join(filter(None, (shown_name(head, letters), shown_name(tail, letters))))
        axes.annotate(
            text, (1.0, at), (5, 0), xycoords="axes fraction", textcoords="offset points", va="center", fontsize=8, color=INK,
            annotation_clip=False,
        )  # fmt: skip
