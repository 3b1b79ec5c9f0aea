"""The climb: the best VERIFIED round so far against rounds, time and money, with every attempt behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoqec.counted_words import counted
from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.chart_words import duration_unit, round_title, shown_name
from autoqec.reporting.charts.charted_rounds import ChartedEnvironment, ChartedRound, short_names
from autoqec.reporting.charts.drawing import FAINT, INK, PAPER, SOFT, Drawing, Mark, MarkTitle, label_marks
from autoqec.views.line_styles import COLOURS, log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How high the chart is, in inches.
_HIGH = 3.9

#: The colour of the best so far.
_BEST = COLOURS[1]

#: From this many improvements on, marks are small and only the last one is named.
_MANY_STEPS = 12

#: Of more rounds, attempts have small marks without intervals.
_MOST_BARS = 150

#: Of attempts that are worse than this, only that they are is shown, at the upper edge.
_WORST = 1.3

#: Below this ratio the y axis is a log scale: on another, later improvements would be too small to see.
_LOG_BELOW = 0.2


@dataclass(frozen=True)
class ClimbRow:
    """An attempt, and the best VERIFIED round up to it.

    Attributes:
        number: Its place among the rounds of the environment, from 1.
        round: Its name, `run/number`.
        verdict: The verifier's word, or how the round ended.
        ler_ratio, ler_ratio_low, ler_ratio_high: Its ratio to plain decoding with the 95 % interval; no upper end where none is
            excluded. Of a round without a verdict, the ratio is that on development shots.
        seconds_so_far, cost_so_far_usd: What all rounds up to it took.
        best_round: The best VERIFIED round up to it; empty before there is one.
        best_ler_ratio, best_ler_ratio_low, best_ler_ratio_high: Its ratio.
        new_best, sure: Whether this round is that one, and whether it is shown to be better than the best one before.
    """

    number: int
    round: str
    verdict: str
    ler_ratio: float | None
    ler_ratio_low: float | None
    ler_ratio_high: float | None
    seconds_so_far: float
    cost_so_far_usd: float
    best_round: str
    best_ler_ratio: float | None
    best_ler_ratio_low: float | None
    best_ler_ratio_high: float | None
    new_best: bool
    sure: bool


def climb_chart(environment: ChartedEnvironment) -> Chart:
    """The climb on an environment, against the number of rounds and the seconds that they took, and money where any was spent."""
    rows = climb_rows(environment)
    title = f"Climb on {shown_name(environment.name, 40)}: {counted(len(rows), 'round')}"
    nothing = "" if rows else "there are no rounds yet"
    by_name = {each.name: each for each in environment.rounds}
    against = "rounds, time and money" if _cost_anything(rows) else "rounds and time"
    return Chart(
        "climb",
        title,
        ClimbRow,
        rows,
        lambda: _drawn(title, rows, by_name, nothing),
        nothing,
        heading=f"Best so far against {against}",
    )


def _cost_anything(rows: Sequence[ClimbRow]) -> bool:
    return bool(rows) and rows[-1].cost_so_far_usd > 0


def climb_rows(environment: ChartedEnvironment) -> list[ClimbRow]:
    """The rows of the climb, one for each round."""
    rows = []
    for number, (each, step) in enumerate(zip(environment.rounds, environment.climb, strict=True), start=1):
        figures, best = each.row.best, step.best
        ratio = figures.ler_ratio if figures is not None else None
        low, high = figures.ratio_interval if figures is not None and ratio is not None else (None, None)
        rows.append(
            ClimbRow(
                number,
                each.name,
                each.row.verdict or each.row.status,
                ratio,
                low,
                high,
                step.spent.seconds,
                step.spent.cost,
                best.round if best else "",
                best.ratio if best else None,
                best.interval[0] if best else None,
                best.interval[1] if best else None,
                step.new,
                bool(best and best.new and best.sure),
            )
        )
    return rows


def _drawn(title: str, rows: Sequence[ClimbRow], by_name: dict[str, ChartedRound], nothing: str) -> Drawing:
    drawing = Drawing.of(_HIGH, title, "Bars and band: 95 % intervals of the verdicts, at any stopping time.")
    if nothing:
        drawing.say_nothing(drawing.panels(1)[0], nothing)
        return drawing
    unit, seconds = duration_unit(rows[-1].seconds_so_far)
    against = {
        "rounds": ("rounds", [float(row.number) for row in rows]),
        "time": (f"{unit} of rounds", [row.seconds_so_far / seconds for row in rows]),
    }
    if _cost_anything(rows):
        against["cost"] = ("US dollars for agents", [row.cost_so_far_usd for row in rows])
    panels = drawing.panels(len(against))
    low, high, logarithmic = _limits(rows)
    for axes, (name, (words, places)) in zip(panels, against.items(), strict=True):
        if logarithmic:
            axes.set_yscale("log")
        axes.set_ylim(low, high)
        if logarithmic:
            log_ticks(axes.yaxis, high / low)
        most = max(places) or 1.0
        axes.set_xlim(
            0.0 if name != "rounds" else 0.5 if len(rows) < 30 else 0.0, most * 1.04 + (name == "rounds") * 0.5
        )
        if name == "rounds":
            drawing.whole_numbers(axes.xaxis)
        axes.set_xlabel(words)
        axes.axhline(1.0, color=INK, linewidth=0.9, zorder=1)
        _draw_attempts(drawing, axes, rows, places, by_name, name)
        _draw_best(drawing, axes, rows, places, by_name, name)
    drawing.named(panels, "LER / LER of plain decoding")
    beside: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "color": SOFT}
    panels[-1].annotate("plain decoding", (1.0, 1.0), (0, -10), ha="right", fontsize=8, **beside)
    _explain(drawing, rows)
    return drawing


def _limits(rows: Sequence[ClimbRow]) -> tuple[float, float, bool]:
    """The ends of the y axis, and whether it is a log scale."""
    ends = [end for row in rows for end in (row.ler_ratio, row.ler_ratio_low, row.ler_ratio_high) if end is not None]
    high = min(max([1.0, *ends]), _WORST)
    positive = [row.ler_ratio for row in rows if row.ler_ratio]
    if positive and min(positive) < _LOG_BELOW:
        return 0.5 * min(positive), 1.15 * high, True
    low = min([0.9, *ends])
    margin = 0.06 * (high - low)
    return low - margin, high + margin, False


#: How attempts look that were not the best when they came: VERIFIED, judged otherwise, without a verdict.
_ATTEMPTS: dict[str, dict[str, Any]] = {
    "none": {"marker": "|", "s": 26, "color": FAINT, "linewidths": 0.9, "zorder": 2},
    "failed": {"marker": "x", "s": 16, "color": FAINT, "linewidths": 0.9, "zorder": 2},
    "verified": {"marker": "o", "s": 13, "facecolors": PAPER, "edgecolors": SOFT, "linewidths": 0.8, "zorder": 3},
}


def _kind(row: ClimbRow) -> str:
    return "verified" if row.verdict == "VERIFIED" else "failed" if row.verdict in ("FAILED", "SUSPICIOUS") else "none"


def _draw_attempts(
    drawing: Drawing,
    axes: Axes,
    rows: Sequence[ClimbRow],
    places: Sequence[float],
    by_name: dict[str, ChartedRound],
    panel: str,
) -> None:
    """Every round that did not become the best one, faint; those without a figure at the upper edge."""
    top = axes.get_ylim()[1]
    for kind, look in _ATTEMPTS.items():
        marks = []
        for row, x in zip(rows, places, strict=True):
            if not row.new_best and _kind(row) == kind:
                y = top if row.ler_ratio is None or kind == "none" else row.ler_ratio
                ends = (row.ler_ratio_low, row.ler_ratio_high) if kind != "none" else (None, None)
                marks.append(Mark(x, y, MarkTitle(round_title(by_name[row.round].row), row.round), *ends))
        few = len(rows) <= _MOST_BARS
        drawing.marks(axes, f"{kind}-{panel}", marks, look if few else {**look, "s": look["s"] / 2}, bar=0.5 * few)


def _draw_best(
    drawing: Drawing,
    axes: Axes,
    rows: Sequence[ClimbRow],
    places: Sequence[float],
    by_name: dict[str, ChartedRound],
    panel: str,
) -> None:
    """The best so far as steps with a band, and the rounds at which it changed."""
    there = [(x, row) for x, row in zip(places, rows, strict=True) if row.best_ler_ratio is not None]
    if not there:
        return
    right = axes.get_xlim()[1]
    steps = [(x, row) for x, row in there if row.new_best] or there[:1]
    along = [*(x for x, _ in steps), right]
    ends = [*(row for _, row in steps), steps[-1][1]]
    top = axes.get_ylim()[1]
    lows, highs = [row.best_ler_ratio_low or 0.0 for row in ends], [row.best_ler_ratio_high or top for row in ends]
    axes.fill_between(along, lows, highs, step="post", color=_BEST, alpha=0.13, linewidth=0, zorder=1.5)
    axes.step(along, [row.best_ler_ratio or 0.0 for row in ends], where="post", color=_BEST, linewidth=1.8, zorder=3.5)
    placed: list[tuple[Mark, ClimbRow]] = []
    for sure in (True, False):
        own = [(x, row) for x, row in steps if row.sure == sure and row.new_best]
        marks = [
            Mark(
                x, row.best_ler_ratio or 0.0, _best_title(row, by_name), row.best_ler_ratio_low, row.best_ler_ratio_high
            )
            for x, row in own
        ]
        filling = {"facecolors": _BEST if sure else PAPER, "edgecolors": _BEST, "linewidths": 1.5}
        look = {"marker": "o", "s": 40 if len(steps) <= _MANY_STEPS else 16, "zorder": 5, **filling}
        drawing.marks(axes, f"{'sure' if sure else 'seems'}-{panel}", marks, look, bar=1.2)
        placed += zip(marks, (row for _, row in own), strict=True)
    names = short_names([row.round for row in rows])
    placed.sort(key=lambda each: (not each[1].sure, -each[1].number))
    few = placed if len(placed) <= _MANY_STEPS else [max(placed, key=lambda each: each[1].number)]
    around = [mark for mark, _ in placed]
    label_marks(axes, [mark for mark, _ in few], [names[row.round] for _, row in few], around=around)


def _best_title(row: ClimbRow, by_name: dict[str, ChartedRound]) -> MarkTitle:
    said = "best so far, shown to be better" if row.sure else "best so far, by its estimate alone"
    return MarkTitle(round_title(by_name[row.round].row, said), row.round)


def _explain(drawing: Drawing, rows: Sequence[ClimbRow]) -> None:
    best: dict[str, Any] = {"marker": "o", "color": _BEST, "markersize": 6.5, "linewidth": 1.8}
    entries = []
    if any(row.sure for row in rows):
        entries.append(("sure improvement", best))
    if any(row.new_best and not row.sure for row in rows):
        entries.append(("best by its estimate", {**best, "markerfacecolor": PAPER}))
    others: dict[str, tuple[str, dict[str, Any]]] = {
        "verified": ("VERIFIED", {"marker": "o", "markerfacecolor": PAPER, "markersize": 4}),
        "failed": ("FAILED or SUSPICIOUS", {"marker": "x", "markersize": 4}),
        "none": ("no verdict (at the top)", {"marker": "|", "markersize": 6}),
    }
    for kind, (words, look) in others.items():
        if any(_kind(row) == kind and not row.new_best for row in rows):
            entries.append((words, {"color": SOFT, "linestyle": "", **look}))
    drawing.legend(entries)
