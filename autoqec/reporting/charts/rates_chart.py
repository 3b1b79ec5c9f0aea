"""Logical error rates against the physical error rate, with exact intervals: plain decoding, candidates and references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.chart_words import round_title, shown_name
from autoqec.reporting.charts.charted_rounds import ChartedEnvironment, ChartedRound, short_names
from autoqec.reporting.charts.drawing import INK, PAPER, SOFT, Drawing, Mark, MarkTitle
from autoqec.results.rates_by_p import RatePoint
from autoqec.results.statistics import rate_interval
from autoqec.results.verdict_parts import ExactRate
from autoqec.views.figures_text import interval_text, rate_text
from autoqec.views.line_styles import COLOURS, LINES, MARKERS, log_ticks

#: How high the chart is, in inches.
_HIGH = 4.2

#: At most so many rounds are shown of those that were not asked for by name.
_MOST_ROUNDS = 1

#: How far down an arrow reaches from the upper end of an interval where no shot failed, as a factor.
_DOWN = 0.6


@dataclass(frozen=True)
class RateRow:
    """A rate at one p.

    Attributes:
        decoder: `plain`, `candidate`, or a reference decoder.
        round: The round whose candidate it is; empty for the others, which are counted on the shots of all rounds shown.
        p: The physical error rate.
        shots, failures: The counts; no failures where shots are drawn by strata, which have weights.
        ler_per_shot, ler_low_per_shot, ler_high_per_shot: The rate with its exact 95 % interval.
        source: Where it was counted: `target`, `cell` or `harm` of a verdict, or `development` shots; `several` where rounds of
            several of these are together.
    """

    decoder: str
    round: str
    p: float
    shots: int
    failures: int | None
    ler_per_shot: float
    ler_low_per_shot: float | None
    ler_high_per_shot: float | None
    source: str


def rates_chart(environment: ChartedEnvironment, named: Sequence[str] = ()) -> Chart:
    """Rates against p.

    Args:
        environment: The environment.
        named: Rounds, `run/number`; by default the best VERIFIED one, else the last one that has rates.
    """
    rounds = _chosen(environment, named)
    rows = rate_rows(rounds)
    many = f"{len(rounds)} rounds" if len(rounds) > 1 else f"round {rounds[0].name}" if rounds else "no round"
    title = f"Logical error rates on {shown_name(environment.name, 40)}: {shown_name(many, 50)}"
    nothing = "" if rows else "no round has rates at a known physical error rate"
    by_name = {each.name: each for each in rounds}
    return Chart("rates", title, RateRow, rows, lambda: _drawn(title, rows, by_name, nothing), nothing)


def _chosen(environment: ChartedEnvironment, named: Sequence[str]) -> list[ChartedRound]:
    if named:
        return [each for each in environment.rounds if each.name in set(named)]
    able = [each for each in environment.rounds if any(point.p is not None for point in each.rates)]
    best = environment.climb[-1].best if environment.climb else None
    return [each for each in able if best is not None and each.name == best.round] or able[-_MOST_ROUNDS:]


def rate_rows(rounds: Iterable[ChartedRound]) -> list[RateRow]:
    """The rates of some rounds: plain decoding and references, counted together, then each round's candidate."""
    points = [(each.name, point) for each in rounds for point in each.rates if point.p is not None]
    beside: dict[tuple[str, float], list[tuple[RatePoint, ExactRate]]] = {}
    for _, point in points:
        for name, rate in (("plain", point.plain), *point.references.items()):
            beside.setdefault((name, point.p or 0.0), []).append((point, rate))
    order = {"plain": 0}
    rows = [
        _together(name, p, found)
        for (name, p), found in sorted(beside.items(), key=lambda item: (order.get(item[0][0], 1), item[0]))
    ]
    return rows + [_row("candidate", name, point, point.candidate) for name, point in points]


def _row(decoder: str, name: str, point: RatePoint, rate: ExactRate) -> RateRow:
    failures = round(rate.ler * point.shots) if point.exact else None
    low, high = rate.ler_ci if point.exact else (None, None)
    return RateRow(decoder, name, point.p or 0.0, point.shots, failures, rate.ler, low, high, point.source)


def _together(decoder: str, p: float, found: Sequence[tuple[RatePoint, ExactRate]]) -> RateRow:
    """Counts on the shots of several rounds, which are different ones, added up."""
    if len(found) == 1 or not all(point.exact for point, _ in found):
        point, rate = max(found, key=lambda each: each[0].shots)
        return _row(decoder, "", point, rate)
    shots = sum(point.shots for point, _ in found)
    failures = sum(round(rate.ler * point.shots) for point, rate in found)
    sources = {point.source for point, _ in found}
    source = sources.pop() if len(sources) == 1 else "several"
    return RateRow(decoder, "", p, shots, failures, failures / shots, *rate_interval(failures, shots), source)


def _drawn(title: str, rows: Sequence[RateRow], by_name: dict[str, ChartedRound], nothing: str) -> Drawing:
    silent = any(row.ler_per_shot <= 0 for row in rows)
    arrows = " An arrow points down from the upper end where no shot failed." if silent else ""
    drawing = Drawing.of(_HIGH, title, f"Bars: exact 95 % intervals.{arrows}")
    axes = drawing.panels(1, right=0.3)[0]
    if nothing:
        drawing.say_nothing(axes, nothing)
        return drawing
    axes.set_xscale("log")
    axes.set_yscale("log")
    rates = sorted({row.p for row in rows})
    margin = max((rates[-1] / rates[0]) ** 0.08, 1.06)
    axes.set_xlim(rates[0] / margin, rates[-1] * margin)
    ends = [end for row in rows for end in _ends(row)]
    axes.set_ylim(min(ends) / 1.25, max(ends) * 1.25)
    log_ticks(axes.yaxis, max(ends) / min(ends) * 1.5)
    if len(rates) <= 8:
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.xaxis.set_minor_locator(_no_ticks())
    else:
        log_ticks(axes.xaxis, rates[-1] / rates[0])
    axes.set_xlabel("physical error rate p")
    axes.set_ylabel("logical error rate per shot")
    names = short_names([row.round for row in rows if row.round])
    entries = []
    lines = list(dict.fromkeys((row.decoder, row.round) for row in rows))
    for number, (decoder, name) in enumerate(lines):
        own = sorted((row for row in rows if (row.decoder, row.round) == (decoder, name)), key=lambda row: row.p)
        look = _look(decoder, number - sum(which != "candidate" for which, _ in lines), number)
        _draw_line(drawing, axes, f"line{number}", own, look, by_name, _apart(number, len(lines)))
        words = decoder if decoder != "candidate" else f"round {names[name]}"
        style = {name: look[name] for name in ("color", "linestyle", "marker")}
        style |= {"markerfacecolor": look["face"], "markersize": 5.5}
        entries.append(("plain decoding" if decoder == "plain" else words, style))
    drawing.legend(entries)
    return drawing


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _apart(number: int, lines: int) -> float:
    """A factor that puts the marks of a line beside those of the others, so that bars do not cover each other."""
    return float(1.003 ** (number - (lines - 1) / 2))


def _ends(row: RateRow) -> Iterator[float]:
    """What a rate's mark reaches to on a log scale."""
    for end in (row.ler_per_shot, row.ler_low_per_shot, row.ler_high_per_shot):
        if end:
            yield end
    if not row.ler_per_shot and row.ler_high_per_shot:
        yield _DOWN * row.ler_high_per_shot


def _look(decoder: str, candidate: int, number: int) -> dict[str, Any]:
    """Plain decoding is black and solid, a candidate coloured and solid, a reference grey and dashed."""
    if decoder == "plain":
        return {"color": INK, "linestyle": "-", "marker": "s", "face": INK}
    if decoder != "candidate":
        return {"color": SOFT, "linestyle": LINES[1 + number % 3], "marker": MARKERS[2 + number % 5], "face": PAPER}
    colours = [colour for colour in COLOURS if colour not in ("#000000", "#777777")]
    colour = colours[candidate % len(colours)]
    return {"color": colour, "linestyle": "-", "marker": MARKERS[(0, 3, 4, 5, 6)[candidate % 5]], "face": colour}


def _draw_line(
    drawing: Drawing,
    axes: Any,
    group: str,
    rows: Sequence[RateRow],
    look: dict[str, Any],
    by_name: dict[str, ChartedRound],
    aside: float,
) -> None:
    failing = [row for row in rows if row.ler_per_shot > 0]
    places = [row.p * aside for row in failing], [row.ler_per_shot for row in failing]
    axes.plot(*places, color=look["color"], linestyle=look["linestyle"], linewidth=1.3, zorder=3)
    style = {"edgecolors": look["color"], "linewidths": 1.2, "zorder": 4}
    marks = [
        Mark(
            row.p * aside,
            row.ler_per_shot,
            _title(row, by_name),
            row.ler_low_per_shot,
            row.ler_high_per_shot or row.ler_per_shot,
        )
        for row in failing
    ]
    drawing.marks(axes, group, marks, {"marker": look["marker"], "s": 30, "facecolors": look["face"], **style}, bar=1.1)
    silent = [row for row in rows if row.ler_per_shot <= 0 and row.ler_high_per_shot]
    marks = [Mark(row.p * aside, row.ler_high_per_shot or 0.0, _title(row, by_name)) for row in silent]
    for mark in marks:
        axes.vlines([mark.x], [_DOWN * mark.y], [mark.y], colors=look["color"], linewidth=1.1, zorder=3.5)
        axes.scatter([mark.x], [_DOWN * mark.y], marker="v", s=16, color=look["color"], zorder=4)
    drawing.marks(axes, f"{group}none", marks, {"marker": "_", "s": 40, "color": look["color"], "zorder": 4}, bar=0.0)


def _title(row: RateRow, by_name: dict[str, ChartedRound]) -> MarkTitle:
    ends = (row.ler_low_per_shot, row.ler_high_per_shot)
    interval = "" if ends[1] is None else f" {interval_text(ends, 5)}"
    counts = f"{row.shots:,} shots" if row.failures is None else f"{row.failures:,} of {row.shots:,} shots failed"
    lines = [f"p = {row.p:g}: {rate_text(row.ler_per_shot, 5)}{interval}", f"{counts} ({row.source})"]
    if row.round:
        return MarkTitle("\n".join([round_title(by_name[row.round].row), *lines]), row.round)
    return MarkTitle("\n".join(["plain decoding" if row.decoder == "plain" else shown_name(row.decoder, 60), *lines]))
