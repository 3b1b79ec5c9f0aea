"""The Pareto front: the ratio to plain decoding, or the gain, against FLOPs and parameters, with reference decoders as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from autoqec.counted_words import counted
from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.chart_words import round_title, shown_name
from autoqec.reporting.charts.charted_rounds import ChartedEnvironment, ChartedRound, short_names
from autoqec.reporting.charts.drawing import FAINT, INK, PAPER, SOFT, Drawing, Mark, MarkTitle, label_marks, lines_at
from autoqec.results.reference_levels import ReferenceLevel, reference_levels
from autoqec.views.line_styles import COLOURS, log_ticks
from autoqec.views.tables import count_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What the y axis shows.
Measure = Literal["ratio", "gain"]

#: How high the chart is, in inches.
_HIGH = 4.2

#: The room for names of lines at the right, in inches, and how long one is.
_RIGHT, _LETTERS = 1.75, 17

#: What stands below the chart.
_NOTE = "Bars: 95 % intervals of the verdicts, at any stopping time. Lines of references: all verdicts together."

#: The colour of members.
_MEMBER = COLOURS[1]

#: What is worse than this is drawn at the upper edge.
_WORST = 1.3

#: At most so many members get their name beside the mark, the best ones.
_MOST_NAMES = 16

#: Of more rounds that are not on the front, no intervals are drawn.
_MOST_BARS = 300

#: What the log axis of costs spans at least, as a factor.
_LEAST_SPAN = 4.0

_DASHES = ("--", ":", "-.")


@dataclass(frozen=True)
class FrontRow:
    """A VERIFIED round, or a reference decoder, which has no costs here.

    Attributes:
        kind: `round`, `reference`, or `near_ml` for a reference near maximum likelihood.
        name: `run/number`, or the reference.
        on_front, confirmed: Whether it is a member of the front, and for any true gains within the intervals.
        ler_ratio, ler_ratio_low, ler_ratio_high: The ratio to plain decoding with its 95 % interval; no upper end where none is
            excluded.
        delta_ler_per_shot, delta_ler_low_per_shot, delta_ler_high_per_shot: The gain with its interval.
        flops_per_shot, params: The costs.
        shots: How many this rests on.
    """

    kind: str
    name: str
    on_front: bool
    confirmed: bool
    ler_ratio: float | None
    ler_ratio_low: float | None
    ler_ratio_high: float | None
    delta_ler_per_shot: float | None
    delta_ler_low_per_shot: float | None
    delta_ler_high_per_shot: float | None
    flops_per_shot: int | None
    params: int | None
    shots: int


def front_chart(environment: ChartedEnvironment, measure: Measure = "ratio") -> Chart:
    """The front of an environment, with the VERIFIED rounds that are not on it, faint.

    Args:
        environment: The environment.
        measure: What the y axis shows: the ratio to plain decoding, or the gain per shot.
    """
    levels = reference_levels(each.results.verdict for each in environment.rounds)
    rows = [*_round_rows(environment), *map(_reference_row, levels)]
    found = [row for row in rows if row.kind == "round"]
    nothing = "" if found else "no round is VERIFIED, so there is no front yet"
    title = f"Front of {shown_name(environment.name, 40)}: {counted(sum(row.on_front for row in found), 'round')}"
    by_name = {each.name: each for each in environment.rounds}
    return Chart("front", title, FrontRow, rows, lambda: _drawn(title, rows, by_name, measure, nothing), nothing)


def _round_rows(environment: ChartedEnvironment) -> Iterator[FrontRow]:
    members = {each.point.name: each for each in environment.front.members}
    for each in environment.rounds:
        row, costs = each.row, each.row.costs
        if row.verdict != "VERIFIED" or row.holdout is None:
            continue
        figures, member = row.holdout.figures, members.get(each.name)
        flops = member.point.flops if member else costs.flops_per_shot if costs else row.holdout.flops_per_shot
        params = member.point.params if member else costs.params if costs else row.holdout.params
        low, high = figures.ratio_interval if figures.ler_ratio is not None else (None, None)
        yield FrontRow(
            kind="round",
            name=each.name,
            on_front=member is not None,
            confirmed=member is not None and member.confirmed,
            ler_ratio=figures.ler_ratio,
            ler_ratio_low=low,
            ler_ratio_high=high,
            delta_ler_per_shot=figures.delta_ler,
            delta_ler_low_per_shot=figures.gain_interval[0],
            delta_ler_high_per_shot=figures.gain_interval[1],
            flops_per_shot=None if flops is None else int(flops),
            params=None if params is None else int(params),
            shots=int(figures.shots),
        )


def _reference_row(level: ReferenceLevel) -> FrontRow:
    known = level.ratio is not None
    return FrontRow(
        kind="near_ml" if level.near_ml else "reference",
        name=level.name,
        on_front=False,
        confirmed=False,
        ler_ratio=level.ratio,
        ler_ratio_low=level.low if known else None,
        ler_ratio_high=level.high if known else None,
        delta_ler_per_shot=(level.plain_failures - level.failures) / level.shots if level.shots else None,
        delta_ler_low_per_shot=None,
        delta_ler_high_per_shot=None,
        flops_per_shot=None,
        params=None,
        shots=level.shots,
    )


def _drawn(
    title: str, rows: Sequence[FrontRow], by_name: dict[str, ChartedRound], measure: Measure, nothing: str
) -> Drawing:
    drawing = Drawing.of(_HIGH, title, _NOTE)
    if nothing:
        drawing.say_nothing(drawing.panels(1)[0], nothing)
        return drawing
    panels = drawing.panels(2, right=_RIGHT)
    rounds = [row for row in rows if row.kind == "round"]
    low, high = _limits(rows, measure)
    for axes, cost in zip(panels, ("flops_per_shot", "params"), strict=True):
        axes.set_ylim(low, high)
        _scale_costs(axes, [getattr(row, cost) for row in rounds if getattr(row, cost) is not None])
        axes.set_xlabel({"flops_per_shot": "FLOPs per shot", "params": "parameters"}[cost])
        _draw_references(axes, rows, measure)
        _draw_rounds(drawing, axes, rounds, by_name, measure, cost)
    ratio = measure == "ratio"
    drawing.named(panels, "LER / LER of plain decoding" if ratio else "gain in LER over plain decoding, per shot")
    lines = [(_value(row, measure)[0], _reference_words(row, measure)) for row in rows if row.kind != "round"]
    plain = (1.0 if ratio else 0.0, "plain decoding")
    for axes in drawing.right_most(panels):
        lines_at(axes, [plain, *((y, words) for y, words in lines if y is not None)])
    _explain(drawing, rounds)
    return drawing


def _value(row: FrontRow, measure: Measure) -> tuple[float | None, float | None, float | None]:
    if measure == "ratio":
        return row.ler_ratio, row.ler_ratio_low, row.ler_ratio_high
    return row.delta_ler_per_shot, row.delta_ler_low_per_shot, row.delta_ler_high_per_shot


def _reference_words(row: FrontRow, measure: Measure) -> str:
    value = _value(row, measure)[0] or 0.0
    near = " near ML" if row.kind == "near_ml" else ""
    return f"{shown_name(row.name, _LETTERS)} {value:.3g}{near}"


def _limits(rows: Sequence[FrontRow], measure: Measure) -> tuple[float, float]:
    """The ends of the y axis: all rounds with their intervals, references and plain decoding."""
    ends = [end for row in rows for end in _value(row, measure) if end is not None]
    ends.append(1.0 if measure == "ratio" else 0.0)
    low, high = min(ends), max(ends)
    if measure == "ratio":
        high = min(high, _WORST)
    margin = 0.06 * (high - low or 1.0)
    return (max(0.0, low - margin) if measure == "ratio" else low - margin), high + margin


def _scale_costs(axes: Axes, values: Sequence[int]) -> None:
    """A log axis, wide enough that a small difference looks small; one that begins with zero where a candidate learns nothing."""
    least, most = min(values, default=1), max(values, default=1)
    if least > 0:
        axes.set_xscale("log")
        margin = max((most / least) ** 0.12, (_LEAST_SPAN * least / most) ** 0.5)
        axes.set_xlim(least / margin, most * margin)
        log_ticks(axes.xaxis, most / least * margin**2, count_text_of)
    else:
        axes.set_xlim(-0.06 * max(most, 1), 1.1 * max(most, 1))
        axes.xaxis.set_major_formatter(lambda value, _: count_text_of(value))


def count_text_of(value: float) -> str:
    """A count at a tick; nothing below zero."""
    return "" if value < 0 else count_text(int(value)).replace(".0", "") if value == int(value) else f"{value:g}"


def _draw_references(axes: Axes, rows: Sequence[FrontRow], measure: Measure) -> None:
    axes.axhline(1.0 if measure == "ratio" else 0.0, color=INK, linewidth=0.9, zorder=1)
    for number, row in enumerate(row for row in rows if row.kind != "round"):
        value = _value(row, measure)[0]
        if value is not None:
            axes.axhline(value, color=SOFT, linewidth=1.1, linestyle=_DASHES[number % len(_DASHES)], zorder=1)


#: How marks of the front look, by whether a round is a member and confirmed.
_LOOKS: dict[str, dict[str, Any]] = {
    "confirmed": {"marker": "o", "s": 38, "facecolors": _MEMBER, "edgecolors": _MEMBER, "linewidths": 1.5, "zorder": 4},
    "member": {"marker": "o", "s": 38, "facecolors": PAPER, "edgecolors": _MEMBER, "linewidths": 1.5, "zorder": 4},
    "other": {"marker": "x", "s": 18, "color": FAINT, "linewidths": 1.0, "zorder": 2},
}


def _kind(row: FrontRow) -> str:
    return "confirmed" if row.confirmed else "member" if row.on_front else "other"


def _draw_rounds(
    drawing: Drawing,
    axes: Axes,
    rounds: Sequence[FrontRow],
    by_name: dict[str, ChartedRound],
    measure: Measure,
    cost: str,
) -> None:
    placed: list[tuple[Mark, str]] = []
    for kind, look in _LOOKS.items():
        marks = []
        for row in (row for row in rounds if _kind(row) == kind):
            (value, low, high), x = _value(row, measure), getattr(row, cost)
            if value is None or x is None:
                continue
            costs = f"{count_text(row.flops_per_shot)} FLOPs per shot, {counted(row.params or 0, 'parameter')}"
            title = MarkTitle(round_title(by_name[row.name].row, costs), row.name)
            marks.append(Mark(x, value, title, low, high))
            if kind != "other":
                placed.append((marks[-1], row.name))
        bar = 1.1 if kind != "other" else 0.6 if len(marks) <= _MOST_BARS else 0.0
        drawing.marks(axes, f"{kind}-{cost.partition('_')[0]}", marks, look, bar=bar)
    names = short_names([row.name for row in rounds])
    shown = sorted(placed, key=lambda each: each[0].y, reverse=measure == "gain")
    marks, around = [mark for mark, _ in shown[:_MOST_NAMES]], [mark for mark, _ in shown[_MOST_NAMES:]]
    label_marks(axes, marks, [names[name] for _, name in shown[:_MOST_NAMES]], around=around)


def _explain(drawing: Drawing, rounds: Sequence[FrontRow]) -> None:
    words = {"confirmed": "confirmed on the front", "member": "on the front", "other": "VERIFIED, not on the front"}
    looks: dict[str, dict[str, Any]] = {
        "confirmed": {"marker": "o", "color": _MEMBER},
        "member": {"marker": "o", "color": _MEMBER, "markerfacecolor": PAPER},
        "other": {"marker": "x", "color": SOFT},
    }
    there = [kind for kind in _LOOKS if any(_kind(row) == kind for row in rounds)]
    drawing.legend([(words[kind], {"linestyle": "", "markersize": 6, **looks[kind]}) for kind in there])
