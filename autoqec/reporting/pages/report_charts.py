"""The charts of a report, each with its figures as a table, as many as fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.climb_chart import climb_chart
from autoqec.reporting.charts.fork_chart import fork_chart
from autoqec.reporting.charts.front_chart import front_chart
from autoqec.reporting.charts.gap_chart import gap_chart
from autoqec.reporting.charts.learning_chart import learning_chart
from autoqec.reporting.charts.rates_chart import rates_chart
from autoqec.reporting.pages.chart_svg import ChartSheet
from autoqec.reporting.recorded_lab import RecordedEnvironment

#: Bytes that all charts of a report take at most.
CHART_BYTES = 1_500_000

#: Rows of figures that stand below a chart.
_MOST_ROWS = 60

#: A fork graph of more rounds takes the whole width of the page.
_MOST_FORKS = 40

#: What is drawn of each environment, and the heading above it.
CHARTS: tuple[tuple[str, Callable[[RecordedEnvironment], Chart]], ...] = (
    ("Pareto front", front_chart),
    ("Best so far", climb_chart),
    ("Fork graph", fork_chart),
    ("Logical error rate against p", rates_chart),
    ("Share of the gap to near-maximum-likelihood decoding", gap_chart),
    ("Learning curves", learning_chart),
)


@dataclass(frozen=True)
class ShownChart:
    """A chart as a page shows it.

    Attributes:
        heading, label: What it shows, in few words and in full.
        svg: The picture; None if there is nothing to show, or no room.
        why: Why there is no picture; else empty.
        columns, rows: Its figures, as far as they stand below it.
        left: How many rows do not.
        wide: Whether it takes the whole width of the page.
    """

    heading: str
    label: str
    svg: Markup | None
    why: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    left: int = 0
    wide: bool = False


class ChartRoom:
    """Draws charts until the bytes for them are used up.

    Args:
        sheet: The styles of the page's charts.
        most: Bytes of all charts.
    """

    def __init__(self, sheet: ChartSheet, most: int = CHART_BYTES) -> None:
        self._sheet, self._left = sheet, most

    def draw(self, environment: RecordedEnvironment, number: int) -> list[ShownChart]:
        """The charts of an environment.

        Args:
            environment: The environment.
            number: Its place in the report; ids of its charts begin with it.
        """
        return [self._drawn(heading, make(environment), f"e{number}-", environment.key) for heading, make in CHARTS]

    def _drawn(self, heading: str, chart: Chart, prefix: str, key: str) -> ShownChart:
        heading = chart.heading or heading
        if chart.nothing:
            return ShownChart(heading, chart.title, None, f"There is no picture: {chart.nothing}.")
        if self._left <= 0:
            why = f"This report has no room for more pictures. To see it: autoqec report --env {key} -o FILE.html"
            return ShownChart(heading, chart.title, None, why)
        wide = chart.name == "forks" and len(chart.rows) > _MOST_FORKS
        svg = self._sheet.inline(chart.svg(small=not wide), f"{prefix}{chart.name}-")
        self._left -= len(svg)
        rows = [[_cell(getattr(row, name)) for name in chart.columns()] for row in chart.rows[:_MOST_ROWS]]
        return ShownChart(heading, chart.title, svg, "", chart.columns(), rows, len(chart.rows) - len(rows), wide)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
