"""Plots a sweep: logical error rates with their intervals, and the error suppression factor, readable without colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, log
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from autoqec.errors import UsageError
from autoqec.results.sweep_records import (
    DISTANCE_FIELD,
    RATE_FIELD,
    ROUNDS_FIELD,
    Crossing,
    Place,
    Suppression,
    Sweep,
    SweepPoint,
    said,
)
from autoqec.views.line_styles import COLOURS, LINES, MARKERS, log_ticks, plot_style, quiet_axes, save_figure, svg_text
from autoqec.views.sweep_words import (
    bent_words,
    crossing_words,
    distinct,
    factor_text,
    left_out_words,
    per_words,
    values_words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Panels of one plot, at most: one for each combination of further fields.
_MOST_PANELS = 12

#: Width of a panel and height of a plot, in inches, and characters of a line below it, for each inch.
_WIDE, _HIGH, _LETTERS = 4.6, 4.2, 14

#: Height of a line below it.
_LINE = 0.155

#: Colour and marker of what is about all distances, where these tell distances, and of the distances then.
_ANY = "0.2"
_ANY_MARKER = "o"
_DISTANCE_COLOURS = (COLOURS[1], COLOURS[2], COLOURS[4], COLOURS[5], COLOURS[6])
_DISTANCE_MARKERS = MARKERS[1:]

#: How a legend looks.
_LEGEND: dict[str, Any] = {"frameon": False, "handlelength": 3.6}

#: What an axis is called.
_NAMES = {RATE_FIELD: "physical error rate p", DISTANCE_FIELD: "code distance", ROUNDS_FIELD: "rounds"}


def save_plot(sweep: Sweep, path: Path) -> None:
    """Draw a sweep into a file, whose extension is one of `FORMATS`.

    Raises:
        UsageError: Nothing was counted, or there are too many panels.
        AutoQECError: The file cannot be written.
    """
    with plot_style():
        save_figure(draw(sweep), path)


def svg_of(sweep: Sweep) -> str:
    """The plot as the text of an SVG, in which the marker of point n is in a group with the id `point-n`."""
    with plot_style():
        return svg_text(draw(sweep))


@dataclass
class _Layout:
    """What is drawn where.

    Attributes:
        sweep: The sweep.
        x: The field of the x axis.
        panels: The values of the further fields, one panel for each.
        lines: The values of the distance, if the lines differ in it; else only None.
    """

    sweep: Sweep
    x: str
    panels: list[dict[str, Any]]
    lines: list[int | None]
    decoders: list[str]
    numbers: dict[int, int] = field(default_factory=dict)  # of points, by their identity

    @property
    def has_factors(self) -> bool:
        """Whether there is a panel of Λ."""
        return self.x == RATE_FIELD and bool(self.sweep.suppressions)


def _layout(sweep: Sweep) -> _Layout:
    points = sweep.counted()
    if not points:
        raise UsageError("nothing was counted, so there is nothing to plot", hint="see what was left out, and why")
    varying = [axis for axis in sweep.axes if len({repr(each.place.values[axis]) for each in points}) > 1]
    numeric = [axis for axis in varying if all(_is_number(each.place.values[axis]) for each in points)]
    x = next((axis for axis in (RATE_FIELD, DISTANCE_FIELD, ROUNDS_FIELD, *numeric) if axis in numeric), RATE_FIELD)
    lines_differ = DISTANCE_FIELD in varying and x != DISTANCE_FIELD
    inner = {x} | ({DISTANCE_FIELD} if lines_differ else set())
    others = distinct([{axis: each.place.values[axis] for axis in varying if axis not in inner} for each in points])
    if len(others) > _MOST_PANELS:
        raise UsageError(
            f"a plot has at most {_MOST_PANELS} panels, and this one would have {len(others)}",
            hint="vary fewer fields at once, or plot parts of the CSV file with sinter plot",
        )
    lines = (
        sorted({each.place.distance for each in points if each.place.distance is not None}) if lines_differ else [None]
    )
    return _Layout(sweep, x, others, list(lines), list(sweep.decoders))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def x_of(place: Place, x: str) -> float:
    """A place's value on an axis."""
    if x == RATE_FIELD:
        return place.p if place.p is not None else 1.0
    return float(place.values[x])


def draw(sweep: Sweep) -> Figure:
    """Draw a sweep as a figure of matplotlib."""
    from matplotlib.figure import Figure

    layout = _layout(sweep)
    layout.numbers = {id(point): number for number, point in enumerate(sweep.points)}
    count = len(layout.panels) + layout.has_factors
    columns = min(count, 3)
    rows = -(-count // columns)
    width = _WIDE * max(columns, 1.4)
    notes = plot_notes(sweep, int(width * _LETTERS))
    heights = [_HIGH * rows, 0.1 + _LINE * len(notes)]
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=heights)
    plots, below = parts
    grid = plots.subplots(rows, columns, squeeze=False)
    cells = [axes for row in grid for axes in row]
    for axes, others in zip(cells, layout.panels, strict=False):
        _draw_rates(axes, layout, others)
    if layout.has_factors:
        _draw_factors(cells[len(layout.panels)], layout)
    for axes in cells[count:]:
        axes.set_visible(False)
    handles = _handles(layout)
    if layout.lines != [None]:
        cells[0].legend(handles=_distance_handles(layout), loc="lower right", frameon=False, fontsize=8)
    plots.legend(handles=handles, loc="outside lower center", ncols=_columns(handles, width), **_LEGEND)
    plots.suptitle(f"{layout.sweep.env}; bars: exact 95 % intervals of the rates", fontsize=10)
    below.text(0.02, 1.0, "\n".join(notes), fontsize=7.5, va="top", color="0.25", linespacing=1.3)
    return figure


def _look(layout: _Layout, decoder: str, line: int | None) -> dict[str, Any]:
    """How a line looks: its distance is told by marker and colour, its decoder by dashes and filling; or all tell the decoder."""
    which = layout.decoders.index(decoder)
    place = which if line is None else layout.lines.index(line)
    colours, markers = (COLOURS, MARKERS) if line is None else (_DISTANCE_COLOURS, _DISTANCE_MARKERS)
    colour = colours[place % len(colours)]
    return {
        "color": colour,
        "marker": markers[place % len(markers)],
        "linestyle": LINES[which % len(LINES)],
        "markerfacecolor": colour if which % 2 == 0 else "white",
    }


def _draw_rates(axes: Axes, layout: _Layout, others: Mapping[str, Any]) -> None:
    sweep = layout.sweep
    here = [each for each in sweep.counted() if all(each.place.values[name] == value for name, value in others.items())]
    for decoder in layout.decoders:
        for line in layout.lines:
            points = [
                each for each in here if each.decoder == decoder and (line is None or each.place.distance == line)
            ]
            _draw_line(axes, layout, sorted(points, key=lambda each: x_of(each.place, layout.x)), decoder, line)
    for crossing in sweep.crossings:
        if layout.x == RATE_FIELD and all(crossing.others.get(name) == value for name, value in others.items()):
            _mark_crossing(axes, layout, here, crossing)
    _scale_x(axes, layout.x, [x_of(each.place, layout.x) for each in here])
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    log_ticks(axes.yaxis, high / low)
    quiet_axes(axes)
    axes.set_ylabel(f"logical error rate per {per_words(sweep)}")
    if others:
        axes.set_title(values_words(others), fontsize=9)


def _draw_line(axes: Axes, layout: _Layout, points: Sequence[SweepPoint], decoder: str, line: int | None) -> None:
    """A line through the points with failures; an arrow down from the upper end of each without."""
    look, per = _look(layout, decoder, line), layout.sweep.per
    failing = [each for each in points if each.errors]
    axes.plot(
        [x_of(each.place, layout.x) for each in failing],
        [each.rate(per) for each in failing],
        color=look["color"],
        linestyle=look["linestyle"],
        linewidth=1.2,
    )
    for each in points:
        x, (low, high) = x_of(each.place, layout.x), each.interval(per)
        rate = each.rate(per) if each.errors else high
        bar = [[rate - low], [high - rate]] if each.errors else [[rate * 0.55], [0.0]]
        drawn = axes.errorbar(
            [x],
            [rate],
            yerr=bar,
            uplims=not each.errors,
            color=look["color"],
            marker=look["marker"] if each.errors else "",
            markerfacecolor=look["markerfacecolor"],
            markersize=5,
            capsize=2,
            linewidth=0.9,
        )
        (drawn.lines[0] if each.errors else drawn.lines[2][0]).set_gid(f"point-{layout.numbers[id(each)]}")


def _mark_crossing(axes: Axes, layout: _Layout, points: Sequence[SweepPoint], crossing: Crossing) -> None:
    """A cross on the curves, with the interval of p."""
    curve = sorted(
        (x_of(each.place, layout.x), each.rate(layout.sweep.per))
        for each in points
        if each.decoder == crossing.decoder and each.place.distance == crossing.distances[0] and each.errors
    )
    p, (low, high) = crossing.fit.p, crossing.fit.interval
    sides = [(a, b) for a, b in pairwise(curve) if a[0] <= p <= b[0]]
    if not sides:
        return
    (left, below), (right, above) = sides[0]
    share = (log(p) - log(left)) / (log(right) - log(left))
    y = exp(log(below) + share * (log(above) - log(below)))
    axes.errorbar(
        [p], [y], xerr=[[p - low], [high - p]], color="0.35", marker="x", markersize=7, capsize=3, linewidth=1.6
    )


def _draw_factors(axes: Axes, layout: _Layout) -> None:
    """Λ against the physical error rate; an arrow where no value, however large, is excluded."""
    others = distinct([dict(each.others) for each in layout.sweep.suppressions])
    for decoder in layout.decoders:
        for place, values in enumerate(others):
            found = [
                each for each in layout.sweep.suppressions if each.decoder == decoder and dict(each.others) == values
            ]
            look = _decoder_look(layout, decoder)
            if len(others) > 1:
                look["marker"] = MARKERS[place % len(MARKERS)]
            _draw_factor_line(axes, found, look)
    axes.axhline(1.0, color="0.6", linewidth=0.8)
    _scale_x(axes, RATE_FIELD, [each.p for each in layout.sweep.suppressions if each.p is not None])
    axes.set_yscale("log")
    log_ticks(axes.yaxis, 1.0)
    quiet_axes(axes)
    axes.set_ylabel("error suppression factor Λ, per round")
    if len(others) > 1:
        from matplotlib.lines import Line2D

        markers = [
            Line2D([], [], color="0.2", marker=MARKERS[place % len(MARKERS)], linestyle="", label=values_words(values))
            for place, values in enumerate(others)
        ]
        axes.legend(handles=markers, frameon=False, fontsize=8)


def _draw_factor_line(axes: Axes, found: Sequence[Suppression], look: Mapping[str, Any]) -> None:
    known = [(each.p, each.fit) for each in found if each.p is not None]
    closed = [(p, fit.value) for p, fit in known if fit.value is not None]
    axes.plot(
        [p for p, _ in closed],
        [value for _, value in closed],
        color=look["color"],
        linestyle=look["linestyle"],
        linewidth=1.2,
    )
    for p, fit in known:
        low, high = fit.interval
        value = low if fit.value is None else fit.value
        if value <= 0:
            continue
        is_open = high is None
        axes.errorbar(
            [p],
            [value],
            yerr=[[value - low], [0.8 * value if high is None else high - value]],
            lolims=is_open,
            color=look["color"],
            marker="" if fit.value is None else look["marker"],
            markerfacecolor=look["markerfacecolor"],
            markersize=5,
            capsize=2,
            linewidth=0.9,
        )


def _scale_x(axes: Axes, x: str, values: Sequence[float]) -> None:
    axes.set_xlabel(_NAMES.get(x, x))
    known = sorted(set(values))
    if x == RATE_FIELD and len(known) > 1:
        axes.set_xscale("log")
        margin = (known[-1] / known[0]) ** 0.06
        axes.set_xlim(known[0] / margin, known[-1] * margin)
        log_ticks(axes.xaxis, known[-1] / known[0])
    else:
        axes.set_xticks(known, [said(value if value % 1 else int(value)) for value in known])


def _distance_handles(layout: _Layout) -> list[Any]:
    """What the legend of distances shows: their markers."""
    from matplotlib.lines import Line2D

    looks = [(line, _look(layout, layout.decoders[0], line)) for line in layout.lines]
    return [
        Line2D([], [], color=look["color"], marker=look["marker"], linestyle="", label=f"distance {line}")
        for line, look in looks
    ]


def _handles(layout: _Layout) -> list[Any]:
    """What the legend of decoders shows: their lines, and their markers unless these tell distances."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], label=decoder + _factor_words(layout, decoder), **_decoder_look(layout, decoder))
        for decoder in layout.decoders
    ]


def _decoder_look(layout: _Layout, decoder: str) -> dict[str, Any]:
    """How a decoder looks where no distance is shown: colour and marker mean nothing there if elsewhere they tell distances."""
    look = _look(layout, decoder, None)
    if layout.lines == [None]:
        return look
    filling = _ANY if layout.decoders.index(decoder) % 2 == 0 else "white"
    return {**look, "color": _ANY, "marker": _ANY_MARKER, "markerfacecolor": filling}


def _factor_words(layout: _Layout, decoder: str) -> str:
    """Λ for the legend of a plot against distance, if there is one of the decoder."""
    found = [each for each in layout.sweep.suppressions if each.decoder == decoder]
    if layout.x != DISTANCE_FIELD or len(found) != 1:
        return ""
    return f": Λ = {factor_text(found[0])} per round"


def _columns(handles: Sequence[Any], width: float) -> int:
    longest = max(len(str(handle.get_label())) for handle in handles)
    return max(1, min(len(handles), int(11 * width / (longest + 10))))


def plot_notes(sweep: Sweep, width: int) -> list[str]:
    """The lines below a plot: crossings, rates without failure, what is left out and why."""
    found = [crossing_words(each) for each in sweep.crossings]
    if any(not each.errors for each in sweep.counted()):
        found.append("An arrow points down from the upper end of the interval where no shot failed.")
    found += bent_words(sweep)
    found += left_out_words(sweep)
    return [line for note in found for line in wrap(note, width, subsequent_indent="  ")]
