"""Logical error rates against the physical error rate, with exact intervals: plain decoding, candidates and references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.chart_words import round_title, shown_name
from autoqec.reporting.charts.charted_rounds import ChartedEnvironment, ChartedRound, short_names
from autoqec.reporting.charts.drawing import INK, PAPER, SOFT, Drawing, Mark, MarkTitle
from autoqec.reporting.charts.round_looks import RoundLook, round_looks
from autoqec.results.statistics import rate_interval
from autoqec.results.verdict_parts import ExactRate
from autoqec.views.figures_text import interval_text, rate_text
from autoqec.views.line_styles import LINES, MARKERS, log_ticks

#: How high the chart is, in inches.
_HIGH = 4.2

#: At most so many rounds are shown of those that were not asked for by name.
_MOST_ROUNDS = 1

#: How many points apart the marks of one p are whose bars would cover each other.
_APART = 5.0

#: How far down an arrow reaches from the upper end of an interval where no shot failed, as a factor.
_DOWN = 0.6


@dataclass(frozen=True)
class RateRow:
    """A rate at one p.

    Attributes:
        kind: `plain` decoding, `candidate`, `reference`, or `near_ml` for a reference near maximum likelihood.
        decoder: The reference decoder; empty for the others.
        round: The round whose candidate it is; empty for the others, which are counted on the shots of all rounds shown.
        p: The physical error rate.
        shots, failures: The counts; no failures where shots are drawn by strata, which have weights.
        ler_per_shot, ler_low_per_shot, ler_high_per_shot: The rate with its exact 95 % interval.
        source: Where it was counted: `target`, `cell` or `harm` of a verdict, or `development` shots; `several` where rounds of
            several of these are together.
        fixed_shots: Whether the number of shots was fixed in advance. That of a test that stopped early was not, and its interval
            is a little too short.
    """

    kind: str
    decoder: str
    round: str
    p: float
    shots: int
    failures: int | None
    ler_per_shot: float
    ler_low_per_shot: float | None
    ler_high_per_shot: float | None
    source: str
    fixed_shots: bool


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
    if rows and not any(end for row in rows for end in _ends(row)):
        nothing = "no shot failed, and shots by strata have no interval here"
    by_name, looks = {each.name: each for each in rounds}, round_looks(environment.rounds)
    return Chart("rates", title, RateRow, rows, lambda: _drawn(title, rows, by_name, looks, nothing), nothing)


def _chosen(environment: ChartedEnvironment, named: Sequence[str]) -> list[ChartedRound]:
    if named:
        return [each for each in environment.rounds if each.name in set(named)]
    able = [each for each in environment.rounds if any(point.p is not None for point in each.rates)]
    best = environment.climb[-1].best if environment.climb else None
    return [each for each in able if best is not None and each.name == best.round] or able[-_MOST_ROUNDS:]


@dataclass(frozen=True)
class _Counted:
    """A rate on some shots of one round; `exact`: it is of a count; `fixed`: the number of shots was fixed in advance."""

    shots: int
    rate: ExactRate
    exact: bool
    source: str
    fixed: bool


#: The order of the kinds.
_KINDS = ("plain", "reference", "near_ml", "candidate")


def rate_rows(rounds: Iterable[ChartedRound]) -> list[RateRow]:
    """The rates of some rounds: plain decoding and references, counted together, then each round's candidate."""
    found: dict[tuple[str, str, str, float], list[_Counted]] = {}
    for each in rounds:
        for kind, decoder, name, p, counted in _counted(each):
            found.setdefault((kind, decoder, name, p), []).append(counted)
    known = sorted(found, key=lambda key: (_KINDS.index(key[0]), key[1])) if found else []
    return [_together(key, found[key]) for key in known]


def _counted(each: ChartedRound) -> Iterator[tuple[str, str, str, float, _Counted]]:
    """Every rate of a round: its kind, decoder, round and p."""
    verdict, share = each.results.verdict, each.share
    near = set(verdict.evidence.near_ml or ()) if verdict is not None else set()
    for point in each.rates:
        if point.p is None:
            continue
        about = point.exact, point.source, point.decided
        yield "plain", "", "", point.p, _Counted(point.shots, point.plain, *about)
        yield "candidate", "", each.name, point.p, _Counted(point.shots, point.candidate, *about)
        for name, rate in point.references.items():
            if share is None or name != share.reference:
                kind = "near_ml" if name in near else "reference"
                yield kind, name, "", point.p, _Counted(point.shots, rate, *about)
        if share is not None and point.source == "target":
            yield "near_ml", share.reference, "", point.p, _Counted(share.shots, share.strong, True, *about[1:])


def _together(key: tuple[str, str, str, float], found: Sequence[_Counted]) -> RateRow:
    """Counts on the shots of several rounds, which are different ones, added up."""
    if len(found) == 1 or not all(each.exact for each in found):
        most = max(found, key=lambda each: each.shots)
        failures = round(most.rate.ler * most.shots) if most.exact else None
        low, high = most.rate.ler_ci if most.exact else (None, None)
        return RateRow(*key, most.shots, failures, most.rate.ler, low, high, most.source, most.fixed)
    shots = sum(each.shots for each in found)
    failures = sum(round(each.rate.ler * each.shots) for each in found)
    fixed = all(each.fixed for each in found)
    sources = {each.source for each in found}
    source = sources.pop() if len(sources) == 1 else "several"
    return RateRow(*key, shots, failures, failures / shots, *rate_interval(failures, shots), source, fixed)


def _drawn(
    title: str,
    rows: Sequence[RateRow],
    by_name: dict[str, ChartedRound],
    looks: Mapping[str, RoundLook],
    nothing: str,
) -> Drawing:
    beside = _beside(rows)
    aside = " Marks of one p whose bars would cover each other stand side by side." if any(beside.values()) else ""
    silent = any(row.ler_per_shot <= 0 for row in rows)
    arrows = " An arrow points down from the upper end where no shot failed." if silent else ""
    drawing = Drawing.of(_HIGH, title, f"Bars: exact 95 % intervals.{arrows}{aside}")
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
    lines = list(dict.fromkeys((row.kind, row.decoder, row.round) for row in rows))
    step = (axes.get_xlim()[1] / axes.get_xlim()[0]) ** (_APART / _points_wide(axes))
    for number, (kind, decoder, name) in enumerate(lines):
        own = [row for row in rows if (row.kind, row.decoder, row.round) == (kind, decoder, name)]
        own.sort(key=lambda row: row.p)
        look = _look(kind, number, looks.get(name))
        places = [row.p * step ** beside[_key(row)] for row in own]
        _draw_line(drawing, axes, f"{kind}{number}", own, places, look, by_name)
        words = {
            "plain": "plain decoding",
            "candidate": f"round {names.get(name)}",
            "near_ml": f"{shown_name(decoder, 17)} near ML",
        }
        style = {part: look[part] for part in ("color", "linestyle", "marker")}
        if sum(row.ler_per_shot > 0 for row in own) < 2:
            style["linestyle"] = ""  # one point has no line
        entries.append((words.get(kind, decoder), {**style, "markerfacecolor": look["face"], "markersize": 5.5}))
    drawing.legend(entries)
    return drawing


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _points_wide(axes: Any) -> float:
    return float(axes.get_window_extent().width * 72 / axes.figure.dpi)


def _key(row: RateRow) -> tuple[str, str, str, float]:
    return row.kind, row.decoder, row.round, row.p


def _beside(rows: Sequence[RateRow]) -> dict[tuple[str, str, str, float], float]:
    """By how many steps each mark is beside its p: zero, unless its bar would cover another one of the same p."""
    found: dict[tuple[str, str, str, float], float] = {}
    for p in dict.fromkeys(row.p for row in rows):
        groups: list[list[RateRow]] = []
        top = -1.0
        for row in sorted((row for row in rows if row.p == p), key=lambda each: min(_ends(each), default=0.0)):
            ends = list(_ends(row)) or [0.0]
            if groups and min(ends) <= top:
                groups[-1].append(row)
            else:
                groups.append([row])
            top = max(top, *ends)
        for group in groups:
            group.sort(key=rows.index)
            found |= {_key(row): place - (len(group) - 1) / 2 for place, row in enumerate(group)}
    return found


def _ends(row: RateRow) -> Iterator[float]:
    """What a rate's mark reaches to on a log scale."""
    for end in (row.ler_per_shot, row.ler_low_per_shot, row.ler_high_per_shot):
        if end:
            yield end
    if not row.ler_per_shot and row.ler_high_per_shot:
        yield _DOWN * row.ler_high_per_shot


def _look(kind: str, number: int, own: RoundLook | None) -> dict[str, Any]:
    """Plain decoding is black and solid, a candidate coloured and solid, a reference grey and dashed."""
    if kind == "plain":
        return {"color": INK, "linestyle": "-", "marker": "s", "face": INK}
    if kind != "candidate" or own is None:
        return {"color": SOFT, "linestyle": LINES[1 + number % 3], "marker": MARKERS[2 + number % 5], "face": PAPER}
    return {"color": own.colour, "linestyle": "-", "marker": own.marker, "face": own.colour}


def _draw_line(
    drawing: Drawing,
    axes: Any,
    group: str,
    rows: Sequence[RateRow],
    places: Sequence[float],
    look: dict[str, Any],
    by_name: dict[str, ChartedRound],
) -> None:
    placed = list(zip(places, rows, strict=True))
    failing = [(x, row) for x, row in placed if row.ler_per_shot > 0]
    along = [x for x, _ in failing], [row.ler_per_shot for _, row in failing]
    axes.plot(*along, color=look["color"], linestyle=look["linestyle"], linewidth=1.3, zorder=3)
    style = {"edgecolors": look["color"], "linewidths": 1.2, "zorder": 4}
    marks = [
        Mark(
            x,
            row.ler_per_shot,
            _title(row, by_name),
            row.ler_low_per_shot,
            row.ler_high_per_shot or row.ler_per_shot,
        )
        for x, row in failing
    ]
    drawing.marks(axes, group, marks, {"marker": look["marker"], "s": 30, "facecolors": look["face"], **style}, bar=1.1)
    silent = [(x, row) for x, row in placed if row.ler_per_shot <= 0 and row.ler_high_per_shot]
    marks = [Mark(x, row.ler_high_per_shot or 0.0, _title(row, by_name)) for x, row in silent]
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
    return MarkTitle("\n".join([shown_name(row.decoder, 60) or "plain decoding", *lines]))
