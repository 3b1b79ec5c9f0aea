"""The fork graph: which round started from which, oldest at the left, with merges; thousands of rounds stay drawable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from autoqec.counted_words import counted
from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.chart_words import round_title, shown_name
from autoqec.reporting.charts.charted_rounds import ChartedEnvironment, ChartedRound, short_names
from autoqec.reporting.charts.drawing import FAINT, INK, PAPER, SOFT, Drawing, Mark, MarkTitle, draw_lines, label_marks
from autoqec.views.line_styles import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Heights in inches: of a lane, and of all lanes at least and at most.
_LANE, _LEAST_HIGH, _MOST_HIGH = 0.26, 1.0, 5.5

#: The colour of the best round and of all that it descends from.
_BEST = COLOURS[1]

#: Up to so many rounds, all are named.
_MOST_NAMES = 60


@dataclass(frozen=True)
class ForkRow:
    """A round in the graph.

    Attributes:
        number: Its place among the rounds of the environment, from 1; the x axis.
        round: Its name, `run/number`.
        verdict: The verifier's word, or how the round ended.
        parents: The rounds that it started from, with blanks between; several where it composes them.
        lane: The line that it is drawn on, from 0.
        new_best: Whether it was the best VERIFIED round when it came.
        leads_to_best: Whether the best round of all is this one, or descends from it.
    """

    number: int
    round: str
    verdict: str
    parents: str
    lane: int
    new_best: bool
    leads_to_best: bool


def fork_chart(environment: ChartedEnvironment) -> Chart:
    """The fork graph of an environment."""
    rows = fork_rows(environment)
    merges = sum(len(row.parents.split()) > 1 for row in rows)
    title = f"Forks on {shown_name(environment.name, 40)}: {counted(len(rows), 'round')}, {counted(merges, 'merge')}"
    nothing = "" if rows else "there are no rounds yet"
    by_name = {each.name: each for each in environment.rounds}
    return Chart("forks", title, ForkRow, rows, lambda: _drawn(title, rows, by_name, nothing), nothing)


def fork_rows(environment: ChartedEnvironment) -> list[ForkRow]:
    """The rows of the graph, one for each round."""
    rounds = environment.rounds
    place = {each.name: number for number, each in enumerate(rounds)}
    parents = [
        [
            place[name]
            for name in dict.fromkeys(_name(told) for told in each.row.fork_from)
            if place.get(name, number) < number
        ]
        for number, each in enumerate(rounds)
    ]
    lanes = lanes_of(parents)
    best = environment.climb[-1].best if environment.climb else None
    leading = _ancestry(parents, place[best.round]) if best is not None and best.round in place else set()
    return [
        ForkRow(
            number + 1,
            each.name,
            each.row.verdict or each.row.status,
            " ".join(rounds[parent].name for parent in parents[number]),
            lanes[number],
            environment.climb[number].new,
            number in leading,
        )
        for number, each in enumerate(rounds)
    ]


def _name(told: str) -> str:
    return told.removeprefix("exp/")


def _ancestry(parents: Sequence[Sequence[int]], number: int) -> set[int]:
    found, waiting = {number}, [number]
    while waiting:
        new = set(parents[waiting.pop()]) - found
        found |= new
        waiting.extend(new)
    return found


def lanes_of(parents: Sequence[Sequence[int]]) -> list[int]:
    """The lane of each round: that of its first parent if it is the last child there, else the lowest free one.

    Args:
        parents: Of each round, oldest first, the numbers of the rounds that it started from, each smaller than its own.

    Returns:
        A lane is taken from its round to the round's last child; so lines along it lead to no other round.
    """
    last = list(range(len(parents)))
    for child, own in enumerate(parents):
        for parent in own:
            last[parent] = child
    lanes: list[int] = []
    free: list[int] = []
    ends: list[tuple[int, int]] = []  # until which round a lane is taken
    count = 0
    for number, own in enumerate(parents):
        inherited = own[0] if own and last[own[0]] == number else None
        while ends and ends[0][0] < number:
            heappush(free, heappop(ends)[1])
        if inherited is not None:
            lane = lanes[inherited]
            ends = [each for each in ends if each[1] != lane]
            ends.sort()
        elif free:
            lane = heappop(free)
        else:
            lane, count = count, count + 1
        lanes.append(lane)
        heappush(ends, (last[number], lane))
    return lanes


def _drawn(title: str, rows: Sequence[ForkRow], by_name: dict[str, ChartedRound], nothing: str) -> Drawing:
    lanes = 1 + max((row.lane for row in rows), default=0)
    inside = min(max(_LANE * lanes, _LEAST_HIGH), _MOST_HIGH)
    drawing = Drawing.of(
        inside + 1.45,
        title,
        "Lines lead from a round to those that start from it; dashed to a merge, from its other parents.",
    )
    axes = drawing.panels(1, right=0.2)[0]
    if nothing:
        drawing.say_nothing(axes, nothing)
        return drawing
    axes.set_xlim(0.3, len(rows) + 0.7)
    axes.set_ylim(lanes - 0.35, -0.65)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    drawing.whole_numbers(axes.xaxis)
    axes.set_xlabel("rounds, oldest at the left")
    _draw_lines(axes, rows)
    _draw_rounds(drawing, axes, rows, by_name)
    if len(rows) <= _MOST_NAMES:
        names = short_names([row.round for row in rows])
        marks = [Mark(row.number, row.lane, MarkTitle(row.round)) for row in rows]
        label_marks(axes, marks, [names[row.round] for row in rows], size=7.5)
    _explain(drawing, rows)
    return drawing


def _draw_lines(axes: Axes, rows: Sequence[ForkRow]) -> None:
    """Along the parent's lane, and to the child's at the end."""
    place = {row.round: row for row in rows}
    wide = 1.4 if len(rows) <= 300 else 0.5
    for leading, first in ((False, True), (False, False), (True, True), (True, False)):
        lines = [
            _line(place[name], row)
            for row in rows
            for number, name in enumerate(row.parents.split())
            if (number == 0) == first and (place[name].leads_to_best and row.leads_to_best) == leading
        ]
        style = {"color": _BEST if leading else FAINT, "linewidth": wide * (1.5 if leading else 0.8)}
        draw_lines(axes, lines, linestyle="-" if first else (0, (3, 2)), zorder=2 + leading, **style)


def _line(parent: ForkRow, child: ForkRow) -> list[tuple[float, float]]:
    turn = max(parent.number, child.number - 0.8)
    return [(parent.number, parent.lane), (turn, parent.lane), (child.number, child.lane)]


def _kind(row: ForkRow) -> str:
    if row.new_best:
        return "best"
    return {"VERIFIED": "verified", "FAILED": "failed", "SUSPICIOUS": "failed"}.get(row.verdict, "none")


#: How rounds look: was the best one when it came, VERIFIED, judged otherwise, without a verdict.
_LOOKS: dict[str, dict[str, Any]] = {
    "none": {"marker": "|", "color": SOFT, "linewidths": 1.0, "zorder": 4},
    "failed": {"marker": "x", "color": SOFT, "linewidths": 1.1, "zorder": 4},
    "verified": {"marker": "o", "facecolors": PAPER, "edgecolors": INK, "linewidths": 1.1, "zorder": 5},
    "best": {"marker": "o", "facecolors": _BEST, "edgecolors": _BEST, "linewidths": 1.1, "zorder": 6},
}
_WORDS = {
    "best": "the best when it came",
    "verified": "VERIFIED",
    "failed": "FAILED or SUSPICIOUS",
    "none": "no verdict",
}


def _draw_rounds(drawing: Drawing, axes: Axes, rows: Sequence[ForkRow], by_name: Mapping[str, ChartedRound]) -> None:
    points = axes.get_window_extent().width / max(len(rows), 1)
    size = min(44.0, max(3.0, (0.8 * points) ** 2))
    for kind, look in _LOOKS.items():
        larger = 1.6 if kind == "best" and size < 40 else 1.0
        marks = [
            Mark(row.number, row.lane, MarkTitle(round_title(by_name[row.round].row, *_from(row)), row.round))
            for row in rows
            if _kind(row) == kind
        ]
        drawing.marks(axes, kind, marks, {**look, "s": size * larger}, bar=0.0)


def _from(row: ForkRow) -> list[str]:
    names = row.parents.split()
    return [f"from {' + '.join(names)}"] if names else []


def _explain(drawing: Drawing, rows: Sequence[ForkRow]) -> None:
    looks: dict[str, dict[str, Any]] = {
        "best": {"marker": "o", "color": _BEST},
        "verified": {"marker": "o", "color": INK, "markerfacecolor": PAPER},
        "failed": {"marker": "x", "color": SOFT},
        "none": {"marker": "|", "color": SOFT},
    }
    there = [kind for kind in looks if any(_kind(row) == kind for row in rows)]
    entries = [(_WORDS[kind], {"linestyle": "", "markersize": 6, **looks[kind]}) for kind in there]
    leading = {row.round for row in rows if row.leads_to_best}
    if any(leading.intersection(row.parents.split()) for row in rows if row.leads_to_best):
        entries.append(("to the best round", {"color": _BEST, "linewidth": 2.0}))
    drawing.legend(entries)
