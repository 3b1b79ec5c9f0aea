"""A figure while it is drawn: panels at fixed places, and marks that know what to say of themselves.

Places are in inches and follow from no font, so that the same figures give the same picture with any version of a font. Thousands
of marks of one look are one object of matplotlib: one each would take half a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import isfinite, nan
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from autoqec.reporting.charts.chart_words import shown_name
from autoqec.views.line_styles import quiet_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width of a chart in inches: 800 pixels, as wide as a text on most pages; and where two stand beside each other, or on a phone.
WIDE, NARROW = 8.3, 4.6

_width: ContextVar[float] = ContextVar("_width", default=WIDE)

#: Colours of words and marks, of what is less important, and of lines behind all.
INK, SOFT, FAINT, PAPER = "#111111", "#666666", "#919191", "#ffffff"

#: From this many marks of a kind on, those that would cover each other are drawn once, and little is said of each.
MANY = 500

#: How close such marks are, in points, and how many lines are said of each.
_SAME_PLACE, _FEW_LINES = 1.8, 2

#: Inches that an entry of a legend takes: its line with the gaps around it, each letter, and a row.
_HANDLE, _LETTER, _ROW = 0.54, 0.07, 0.2

#: Inches between a panel and its left edge, and the name of its y axis; and between two panels, one above the other.
_LEFT, _NAME, _BETWEEN = 0.8, 0.58, 0.6

#: Inches of the title, which a narrow chart does not have.
_TITLE = 0.3

#: Inches of a letter and of a line below a chart.
_SMALL_LETTER, _SMALL_LINE = 0.062, 0.15


@contextmanager
def narrow() -> Iterator[None]:
    """Draw narrow charts: panels stand one above the other, and the title is left to the page."""
    token = _width.set(NARROW)
    try:
        yield
    finally:
        _width.reset(token)


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
        foot: Inches that further lines below take.
        stacked: Whether panels stand one above the other.
    """

    figure: Figure
    titles: dict[str, Sequence[MarkTitle]] = field(default_factory=dict)
    foot: float = 0.0
    stacked: bool = False

    @staticmethod
    def of(high: float, title: str, below: str = "") -> Drawing:
        """An empty figure with a title, so many inches high, and perhaps a line below."""
        from matplotlib.figure import Figure

        width = _width.get()
        lines = wrap(below, int(width / _SMALL_LETTER)) if width < WIDE else [below]
        foot = _SMALL_LINE * max(len(lines) - 1, 0)
        high += foot - (_TITLE if width < WIDE else 0.0)
        figure = Figure(figsize=(width, high))
        if width == WIDE:
            figure.text(0.12 / width, 1 - 0.24 / high, title, fontsize=10.5, fontweight="bold", color=INK)
        for number, line in enumerate(filter(None, reversed(lines))):
            figure.text(0.12 / width, (0.09 + number * _SMALL_LINE) / high, line, fontsize=8, color=SOFT)
        return Drawing(figure, foot=foot)

    @property
    def wide(self) -> float:
        """Its width in inches."""
        return float(self.figure.get_figwidth())

    def panels(
        self, count: int, *, top: float = 0.45, bottom: float = 0.98, right: float = 0.15, shared: bool = True
    ) -> list[Axes]:
        """Panels with margins in inches, side by side; in a narrow chart one above the other. `shared`: they have one y axis."""
        top -= _TITLE if self.wide < WIDE else 0.0
        bottom += self.foot
        self.stacked = count > 1 and self.wide < WIDE
        if self.stacked:
            each = self.figure.get_figheight() - top - bottom
            self._grow((count - 1) * (each + _BETWEEN))
        high = self.figure.get_figheight()
        left, gap = _LEFT, 0.2 if shared else _LEFT
        across, down = (1, count) if self.stacked else (count, 1)
        wide = (self.wide - left - right - gap * (across - 1)) / across
        tall = (high - top - bottom - _BETWEEN * (down - 1)) / down
        found: list[Axes] = []
        for place in range(count):
            x = left + (0.0 if self.stacked else place * (wide + gap))
            y = bottom + (count - 1 - place) * (tall + _BETWEEN) * self.stacked
            box = (x / self.wide, y / high, wide / self.wide, tall / high)
            axes = self.figure.add_axes(box, sharey=found[0] if found and shared else None)
            quiet_axes(axes)
            axes.yaxis.set_label_coords(-_NAME / wide, 0.5)
            axes.tick_params(colors=INK, labelsize=8.5, labelleft=self.stacked or not (found and shared))
            for spine in axes.spines.values():
                spine.set_color(SOFT)
            found.append(axes)
        return found

    def named(self, panels: Sequence[Axes], name: str) -> None:
        """Name the y axis that panels have together, at the first of them; at each, if they stand one above the other."""
        for axes in panels if self.stacked else panels[:1]:
            axes.set_ylabel(name)

    def right_most(self, panels: Sequence[Axes]) -> Sequence[Axes]:
        """The panels at the right edge."""
        return panels if self.stacked else panels[-1:]

    def marks(self, axes: Axes, group: str, marks: Sequence[Mark], look: Mapping[str, Any], bar: float = 0.9) -> None:
        """Draw marks of one look with their intervals, in an SVG group of that id.

        Args:
            axes: The panel, whose limits are set.
            group: The id.
            marks: The marks. What lies outside the limits is drawn at the edge.
            look: Colour, marker and so on, as `Axes.scatter` names them.
            bar: Width of the line of an interval; 0 for none.
        """
        known = [mark for mark in marks if isfinite(mark.x) and isfinite(mark.y)]
        if not known:
            return
        shown = known if len(known) <= MANY else _apart(axes, known)
        (low, high), colour = sorted(axes.get_ylim()), look.get("edgecolors", look.get("color", INK))
        barred = [mark for mark in shown if bar and mark.low is not None]
        if barred:
            ends = [(max(mark.low or 0.0, low), high if mark.high is None else mark.high) for mark in barred]
            bars = [
                [(mark.x, min(a, high)), (mark.x, max(low, min(b, high)))]
                for mark, (a, b) in zip(barred, ends, strict=True)
            ]
            draw_lines(axes, bars, color=colour, linewidth=bar, zorder=look.get("zorder", 2) - 0.1)
            _arrows(axes, [mark.x for mark in barred if mark.high is None], high, colour, look)
        places = [min(max(mark.y, low), high) for mark in shown]
        points = axes.scatter([mark.x for mark in shown], places, clip_on=False, **look)
        points.set_gid(group)
        titles = [mark.title for mark in shown]
        self.titles[group] = titles if shown is known else [_short(title) for title in titles]

    def legend(self, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """What marks and lines mean, below the panels; the figure grows where one row is too short for it.

        Args:
            entries: The words of each, and how it looks, as `Line2D` names it.
        """
        from matplotlib.lines import Line2D

        if not entries:
            return
        words = [shown_name(each) for each, _ in entries]
        wide = [_HANDLE + _LETTER * len(each) for each in words]
        columns = len(entries) if sum(wide) <= self.wide else max(1, int(self.wide / max(wide)))
        self._grow(_ROW * (-(-len(entries) // columns) - 1))
        handles = [Line2D([], [], **look) for _, look in entries]
        place = (0.06 / self.wide, (0.22 + self.foot) / self.figure.get_figheight())
        # A label that begins with an underscore would get no entry, so labels get their text afterwards.
        found = self.figure.legend(
            handles,
            ["x" * len(each) for each in words],
            ncols=columns,
            loc="lower left",
            bbox_to_anchor=place,
            frameon=False,
            fontsize=8.5,
            labelcolor=INK,
            handlelength=2.2,
            columnspacing=1.6,
        )
        for text, each in zip(found.get_texts(), words, strict=True):
            text.set_text(each)

    def _grow(self, inches: float) -> None:
        """Make room between the panels and the last line."""
        before = self.figure.get_figheight()
        after = before + inches
        self.figure.set_figheight(after)
        for axes in self.figure.axes:
            box = axes.get_position()
            axes.set_position((box.x0, (box.y0 * before + inches) / after, box.width, box.height * before / after))
        for text in self.figure.texts:
            x, y = text.get_position()
            text.set_position((x, 1 - (1 - y) * before / after if y > 0.5 else y * before / after))

    def whole_numbers(self, axis: Any) -> None:
        """Let an axis have ticks at whole numbers only, even if it spans no more than one of them."""
        from matplotlib.ticker import MaxNLocator

        axis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))

    def say_nothing(self, axes: Axes, why: str) -> None:
        """Say in an empty panel why it is empty."""
        axes.set_axis_off()
        axes.text(0.5, 0.5, shown_name(why, 90), ha="center", va="center", color=SOFT, transform=axes.transAxes)


def draw_lines(axes: Axes, lines: Iterable[Sequence[tuple[float, float]]], **look: Any) -> None:
    """Draw lines of one look as one path, however many they are."""
    apart = [point for line in lines for point in (*line, (nan, nan))]
    if apart:
        axes.plot([x for x, _ in apart], [y for _, y in apart], solid_capstyle="butt", **look)


def _short(title: MarkTitle) -> MarkTitle:
    return MarkTitle("\n".join(title.words.split("\n")[:_FEW_LINES]), title.round)


def _arrows(axes: Axes, places: Sequence[float], high: float, colour: Any, look: Mapping[str, Any]) -> None:
    """Arrows at the upper edge, where an interval has no upper end."""
    if places:
        style = {"marker": "^", "s": 14, "color": colour, "linewidths": 0}
        axes.scatter(places, [high] * len(places), clip_on=False, zorder=look.get("zorder", 2), **style)


def _apart(axes: Axes, marks: Sequence[Mark]) -> list[Mark]:
    """The marks that do not cover an earlier one."""
    figure = axes.figure
    assert figure is not None
    cell = _SAME_PLACE * figure.dpi / 72
    seen: dict[tuple[int, int], Mark] = {}
    for mark, (x, y) in zip(marks, axes.transData.transform([(mark.x, mark.y) for mark in marks]), strict=True):
        seen.setdefault((int(x / cell), int(y / cell)), mark)
    return list(seen.values())


def label_marks(
    axes: Axes, marks: Sequence[Mark], names: Sequence[str], *, size: float = 8.0, around: Sequence[Mark] = ()
) -> None:
    """Name marks beside them, where no other mark, interval or name is; those for which there is no room get no name.

    Args:
        axes: The panel, whose limits and scales are set.
        marks: The marks, the most important first.
        names: What to call them.
        size: Of letters, in points.
        around: More marks that no name may cover.
    """
    figure = axes.figure
    assert figure is not None
    point = figure.dpi / 72
    taken = [box for mark in (*marks, *around) for box in _boxes(axes, mark, point)]
    for mark, name in zip(marks, names, strict=True):
        text = shown_name(name)
        x, y = axes.transData.transform((mark.x, mark.y))
        wide, high = 0.62 * size * len(text) * point, 1.1 * size * point
        for aside, up, align in _BESIDE:
            left = x + aside * point - (wide if align == "right" else 0.0)
            box = (left, y + up * point, left + wide, y + up * point + high)
            if _inside(axes, box) and not any(_overlap(box, other) for other in taken):
                style: dict[str, Any] = {
                    "textcoords": "offset points",
                    "ha": align,
                    "fontsize": size,
                    "color": INK,
                    "zorder": 6,
                }
                axes.annotate(text, (mark.x, mark.y), (aside, up), **style)
                taken.append(box)
                break


#: Where a name may stand beside its mark: points to the right and up, and which of its sides is there.
_BESIDE = ((6, 3, "left"), (-6, 3, "right"), (6, -10, "left"), (-6, -10, "right"))


def _boxes(axes: Axes, mark: Mark, point: float) -> list[tuple[float, float, float, float]]:
    """What a mark and its interval cover, in pixels."""
    low, high = sorted(axes.get_ylim())
    x, y = axes.transData.transform((mark.x, min(max(mark.y, low), high)))
    found = [(x - 3 * point, y - 3 * point, x + 3 * point, y + 3 * point)]
    if mark.low is not None:
        ends = [min(max(end, low), high) for end in (mark.low, high if mark.high is None else mark.high)]
        (_, lower), (_, upper) = axes.transData.transform([(mark.x, end) for end in ends])
        found.append((x - point, min(lower, upper), x + point, max(lower, upper)))
    return found


def _inside(axes: Axes, box: tuple[float, float, float, float]) -> bool:
    edge = axes.bbox
    return edge.x0 <= box[0] and box[2] <= edge.x1 and edge.y0 <= box[1] and box[3] <= edge.y1 + 6


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def lines_at(axes: Axes, levels: Sequence[tuple[float, str]]) -> None:
    """Name horizontal lines at the right of a panel, where names keep apart.

    Args:
        axes: The last panel, whose limits are set.
        levels: Height and name of each line.
    """
    low, high = sorted(axes.get_ylim())
    inside = sorted((y, name) for y, name in levels if low <= y <= high)
    at = [float(axes.transLimits.transform(axes.transScale.transform((1.0, y)))[1]) for y, _ in inside]
    room = 10.5 * axes.figure.dpi / 72 / axes.bbox.height
    for (_, name), y in zip(inside, _spread(at, room), strict=True):
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        axes.annotate(name, (1.0, y), (5, 0), va="center", fontsize=7.5, color=INK, **place)


def _spread(places: Sequence[float], room: float) -> list[float]:
    """Places in order, moved as little as possible so that each is so far from the next."""
    groups: list[list[float]] = []  # places that touch each other share their middle
    for place in places:
        groups.append([place])
        while (
            len(groups) > 1
            and _middle(groups[-1]) - _middle(groups[-2]) < room * (len(groups[-1]) + len(groups[-2])) / 2
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_middle(group) + room * (number - (len(group) - 1) / 2) for group in groups for number in range(len(group))]


def _middle(group: Sequence[float]) -> float:
    return sum(group) / len(group)
