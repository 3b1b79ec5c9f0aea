"""The share of the gap between plain decoding and a decoder near maximum likelihood that rounds close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.chart_words import round_title, shown_name
from autoqec.reporting.charts.charted_rounds import ChartedEnvironment, ChartedRound, short_names
from autoqec.reporting.charts.drawing import INK, SOFT, Drawing, Mark, MarkTitle
from autoqec.results.gap_share import GapShare
from autoqec.views.figures_text import interval_text, rate_text
from autoqec.views.line_styles import COLOURS

#: How high the chart is, in inches.
_HIGH = 4.0

#: At most so many letters of names of rounds stand below the axis.
_MOST_LETTERS = 80

#: Of more rounds, marks are small.
_MANY = 100

#: How verdicts get a reference near maximum likelihood.
_HINT = (
    "pip install tesseract-decoder: the verdicts of later rounds then compare with it, unless strong_reference is none"
)

#: The ends of the axis at most: an interval may reach far.
_LEAST, _MOST = -0.5, 1.6


@dataclass(frozen=True)
class GapRow:
    """A round beside plain decoding and a stronger decoder, on the same shots.

    Attributes:
        round, reference: The round and the stronger decoder.
        shots: How many shots all three decoded.
        share, share_low, share_high: The share of the gap that the round closes, with an interval that holds with at least 95 %;
            no end where none is excluded.
        plain_per_shot, candidate_per_shot, reference_per_shot: The three rates.
    """

    round: str
    reference: str
    shots: int
    share: float | None
    share_low: float | None
    share_high: float | None
    plain_per_shot: float
    candidate_per_shot: float
    reference_per_shot: float


def gap_chart(environment: ChartedEnvironment, named: Sequence[str] = ()) -> Chart:
    """The share of the gap by round.

    Args:
        environment: The environment.
        named: Rounds, `run/number`; by default all whose verdict has a share.
    """
    chosen = [each for each in environment.rounds if not named or each.name in set(named)]
    found = [each.share for each in chosen if each.share is not None]
    rows = [_row(each) for each in found]
    references = (
        ", ".join(dict.fromkeys(shown_name(row.reference) for row in rows)) or "a decoder near maximum likelihood"
    )
    title = f"Share of the gap to {shown_name(references, 40)} on {shown_name(environment.name, 30)}"
    nothing = "" if rows else "no verdict has a reference near maximum likelihood"
    by_name = {each.name: each for each in chosen}
    return Chart("gap", title, GapRow, rows, lambda: _drawn(title, rows, by_name, nothing), nothing, hint=_HINT)


def _row(found: GapShare) -> GapRow:
    rates = found.plain.ler, found.candidate.ler, found.strong.ler
    return GapRow(found.round, found.reference, found.shots, found.share, *found.interval, *rates)


def _drawn(title: str, rows: Sequence[GapRow], by_name: dict[str, ChartedRound], nothing: str) -> Drawing:
    drawing = Drawing.of(
        _HIGH, title, "Bars: intervals that hold with at least 95 %, from the exact intervals of the three rates."
    )
    axes = drawing.panels(1, right=1.5, bottom=0.8)[0]
    if nothing:
        drawing.say_nothing(axes, nothing)
        return drawing
    ends = [end for row in rows for end in (row.share, row.share_low, row.share_high) if end is not None]
    low, high = max(_LEAST, min([0.0, *ends])), min(_MOST, max([1.0, *ends]))
    axes.set_ylim(low - 0.06, high + 0.06)
    axes.set_xlim(0.4, len(rows) + 0.6)
    axes.axhline(0.0, color=INK, linewidth=0.9, zorder=1)
    axes.axhline(1.0, color=SOFT, linewidth=1.1, linestyle="--", zorder=1)
    look: dict[str, Any] = {
        "marker": "o",
        "s": 36 if len(rows) <= _MANY else 9,
        "edgecolors": COLOURS[1],
        "facecolors": COLOURS[1],
        "linewidths": 1.4,
        "zorder": 4,
    }
    placed = list(enumerate(rows, start=1))
    marks = [_mark(x, row, by_name) for x, row in placed if row.share is not None]
    drawing.marks(axes, "rounds", marks, look, bar=1.2 if len(rows) <= _MANY else 0.4)
    unknown = [Mark(x, low, _said(row, by_name)) for x, row in placed if row.share is None]
    drawing.marks(
        axes, "nogap", unknown, {**look, "marker": "x", "color": SOFT, "facecolors": None, "edgecolors": None}, bar=0.0
    )
    names = short_names([row.round for row in rows])
    numbers = [shown_name(names[row.round], 14) for row in rows]
    every = -(-len(rows) * (max(map(len, numbers)) + 2) // _MOST_LETTERS)
    axes.set_xticks([x for x, _ in placed[::every]], numbers[::every])
    axes.set_xlabel("round")
    axes.set_ylabel("share of the gap closed")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    for y, words in ((0.0, "plain decoding"), (1.0, "reference")):
        place: dict[str, Any] = {
            "xycoords": ("axes fraction", "data"),
            "textcoords": "offset points",
            "annotation_clip": False,
        }
        axes.annotate(words, (1.0, y), (5, 0), va="center", fontsize=8, color=INK, **place)
    return drawing


def _mark(x: float, row: GapRow, by_name: dict[str, ChartedRound]) -> Mark:
    low, high = row.share_low, row.share_high
    return Mark(
        x,
        row.share or 0.0,
        _said(row, by_name),
        *((low, high) if low is not None and high is not None else (None, None)),
    )


def _said(row: GapRow, by_name: dict[str, ChartedRound]) -> MarkTitle:
    share = (
        "no gap: the reference fails as often as plain decoding"
        if row.share is None
        else f"{100 * row.share:.0f} % of the gap"
    )
    if row.share is not None and row.share_low is not None and row.share_high is not None:
        share += f" {interval_text((100 * row.share_low, 100 * row.share_high), 0)}"
    rates = ", ".join(
        f"{name} {rate_text(rate, 5)}"
        for name, rate in (
            ("plain", row.plain_per_shot),
            ("candidate", row.candidate_per_shot),
            (shown_name(row.reference), row.reference_per_shot),
        )
    )
    return MarkTitle(round_title(by_name[row.round].row, share, f"{rates} on {row.shots:,} shots"), row.round)
