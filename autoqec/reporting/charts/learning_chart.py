"""Learning curves: the losses of training and of validation against the step, of several rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from autoqec.counted_words import counted
from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.chart_words import round_title, shown_name
from autoqec.reporting.charts.charted_rounds import ChartedEnvironment, ChartedRound, short_names
from autoqec.reporting.charts.drawing import SOFT, Drawing, Mark, MarkTitle
from autoqec.reporting.charts.round_looks import RoundLook, round_looks
from autoqec.views.line_styles import log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How high the chart is, in inches.
_HIGH = 4.2

#: At most so many rounds are shown of those that were not asked for by name, the last ones.
_MOST_ROUNDS = 6

#: At most so many rounds are named in the legend.
_MOST_ENTRIES = 12

#: Panels at most: one for each loss, since values of different losses cannot be compared.
_MOST_PANELS = 3

#: From this quotient of the greatest loss and the least one on, the axis is a log scale.
_LOG_FROM = 20.0


@dataclass(frozen=True)
class LearningRow:
    """A loss after some steps.

    Attributes:
        round: The round, `run/number`.
        loss: Which loss.
        shots_of: `training` or `validation`: on which shots.
        step: After how many steps.
        value: The mean over shots.
    """

    round: str
    loss: str
    shots_of: str
    step: int
    value: float


def learning_chart(environment: ChartedEnvironment, named: Sequence[str] = ()) -> Chart:
    """Learning curves.

    Args:
        environment: The environment.
        named: Rounds, `run/number`; by default the last ones that were trained.
    """
    trained = [(each, rows) for each in environment.rounds if (rows := learning_rows(each))]
    chosen = [(each, rows) for each, rows in trained if each.name in set(named)] if named else trained[-_MOST_ROUNDS:]
    rows = [row for _, own in chosen for row in own]
    left = (
        f", the last {len(chosen)} of {len(trained)} trained rounds" if not named and len(trained) > len(chosen) else ""
    )
    title = f"Learning curves on {shown_name(environment.name, 40)}{left}"
    which = "of the rounds named" if named else ""
    nothing = (
        "" if rows else " ".join(f"no curve {which} is recorded: a round without steps of training has none".split())
    )
    by_name, looks = {each.name: each for each, _ in chosen}, round_looks(environment.rounds)
    return Chart(
        "learning",
        title,
        LearningRow,
        rows,
        lambda: _drawn(title, rows, by_name, looks, nothing),
        nothing,
        hint=_hint([each.name for each, _ in trained]),
    )


def _hint(trained: Sequence[str]) -> str:
    """What to ask for instead of rounds without a curve."""
    if trained:
        return f"autoqec plot learning exp/{trained[-1]}"
    return (
        "a candidate with parameters that its train step learns records one: autoqec show ROUND says what was trained"
    )


def learning_rows(each: ChartedRound) -> list[LearningRow]:
    """The curves of a round; none of a round that took no step."""
    metrics = each.results.metrics
    if metrics is None:
        return []
    log = metrics.training
    if not log.points and len(log.validation) < 2:
        return []
    return [
        LearningRow(each.name, log.loss or "loss", which, point.step, float(point.loss))
        for which, points in (("training", log.points), ("validation", log.validation))
        for point in points
        if point.step is not None and isfinite(point.loss)
    ]


def _drawn(
    title: str,
    rows: Sequence[LearningRow],
    by_name: dict[str, ChartedRound],
    looks: Mapping[str, RoundLook],
    nothing: str,
) -> Drawing:
    drawing = Drawing.of(
        _HIGH, title, "Thin: single batches of training. Thick with marks: validation, on the same shots at each step."
    )
    if nothing:
        drawing.say_nothing(drawing.panels(1)[0], nothing)
        return drawing
    losses = list(dict.fromkeys(row.loss for row in rows))
    order = list(by_name)
    for number, (axes, loss) in enumerate(
        zip(drawing.panels(min(len(losses), _MOST_PANELS), shared=False), losses, strict=False)
    ):
        own = [row for row in rows if row.loss == loss]
        _scale(axes, own)
        axes.set_xlabel("steps")
        axes.set_ylabel(f"loss ({shown_name(loss, 30)})")
        for name in dict.fromkeys(row.round for row in own):
            curves = [row for row in own if row.round == name]
            _draw_curves(drawing, axes, curves, f"round{order.index(name)}-{number}", by_name[name], looks[name])
    _explain(drawing, order, looks, losses[_MOST_PANELS:])
    return drawing


def _scale(axes: Axes, rows: Sequence[LearningRow]) -> None:
    values, steps = [row.value for row in rows], [row.step for row in rows]
    low, high = min(values), max(values)
    axes.set_xlim(0, max(1, max(steps)) * 1.03)
    if low > 0 and high / low >= _LOG_FROM:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.15, high * 1.15)
        log_ticks(axes.yaxis, high / low)
        return
    margin = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    axes.set_ylim(low - margin, high + margin)


def _draw_curves(
    drawing: Drawing, axes: Axes, rows: Sequence[LearningRow], group: str, told: ChartedRound, look: RoundLook
) -> None:
    batches = _curve(rows, "training")
    axes.plot([x for x, _ in batches], [y for _, y in batches], color=look.colour, linewidth=0.6, alpha=0.45, zorder=2)
    validated = _curve(rows, "validation")
    axes.plot(
        [x for x, _ in validated],
        [y for _, y in validated],
        color=look.colour,
        linewidth=1.8,
        zorder=3,
    )
    marks = [
        Mark(x, y, MarkTitle(round_title(told.row, f"validation loss {y:.4g} after {x:,} steps"), told.name))
        for x, y in validated
    ]
    style = {"marker": look.marker, "s": 26, "color": look.colour, "linewidths": 0, "zorder": 4}
    drawing.marks(axes, group, marks, style, bar=0.0)


def _curve(rows: Sequence[LearningRow], which: str) -> list[tuple[int, float]]:
    return sorted((row.step, row.value) for row in rows if row.shots_of == which)


def _explain(drawing: Drawing, order: Sequence[str], looks: Mapping[str, RoundLook], left_out: Sequence[str]) -> None:
    names = short_names(order)
    shown = order[:_MOST_ENTRIES]
    entries: list[tuple[str, dict[str, Any]]] = [
        (
            f"round {names[name]}",
            {"linewidth": 1.8, "markersize": 5.5, "color": looks[name].colour, "marker": looks[name].marker},
        )
        for name in shown
    ]
    if len(order) > len(shown):
        entries.append((f"and {len(order) - len(shown)} more", {"color": SOFT, "linestyle": ""}))
    if left_out:
        entries.append(
            (f"{counted(len(left_out), 'more loss', 'more losses')} in the table", {"color": SOFT, "linestyle": ""})
        )
    drawing.legend(entries)
