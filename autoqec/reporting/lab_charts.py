"""The chart of a lab that is asked for by its name, a run, rounds or an environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoqec.counted_words import some_of
from autoqec.errors import NotFoundError, UsageError
from autoqec.history import Ledger, find_record, load_run, parse_round_name
from autoqec.reporting.charts.chart import Chart
from autoqec.reporting.charts.climb_chart import climb_chart
from autoqec.reporting.charts.fork_chart import fork_chart
from autoqec.reporting.charts.front_chart import Measure, front_chart
from autoqec.reporting.charts.gap_chart import gap_chart
from autoqec.reporting.charts.learning_chart import learning_chart
from autoqec.reporting.charts.rates_chart import rates_chart
from autoqec.reporting.recorded_lab import RecordedEnvironment, RecordedLab, only_environment, read_lab

ChartName = Literal["front", "climb", "rates", "learning", "forks", "gap"]

#: Charts of all rounds of an environment.
_OF_ALL: dict[str, Callable[[RecordedEnvironment], Chart]] = {"climb": climb_chart, "forks": fork_chart}

#: Charts of some rounds, by name.
_OF_SOME: dict[str, Callable[[RecordedEnvironment, Sequence[str]], Chart]] = {
    "rates": rates_chart,
    "learning": learning_chart,
    "gap": gap_chart,
}

_UNFIT = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class LabChart:
    """A chart of a lab.

    Attributes:
        chart: The chart.
        environment: Of which environment it is, `name@identity`.
        without: Rounds that were asked for by name and have nothing that it could show.
        others: Other environments that there are rounds on.
        file: What to call its file, if nobody says.
    """

    chart: Chart
    environment: str
    without: tuple[str, ...]
    others: tuple[str, ...]
    file: Path


def lab_chart(
    ledger: Ledger, name: ChartName, asked: Sequence[str] = (), *, env: str | None = None, measure: Measure = "ratio"
) -> LabChart:
    """A chart of a lab's rounds.

    Args:
        ledger: The lab.
        name: Which chart.
        asked: A run, or rounds, `exp/<run>/<N>` or `<run>/<N>`.
        env: An environment, by name or `name@hex`; by default that of the run or rounds, else that of the latest run.
        measure: What the front shows.

    Raises:
        UsageError: These names cannot stand together, or not for this chart; or there are no rounds yet.
        NotFoundError: There is no such run, round or environment, or nothing that the chart could show.
    """
    run, rounds = _asked(ledger, name, asked)
    lab = read_lab(ledger, run=run, env=env)
    environment = chosen_environment(lab, rounds)
    if name == "front":
        chart = front_chart(environment, measure)
    else:
        chart = _OF_ALL[name](environment) if name in _OF_ALL else _OF_SOME[name](environment, rounds)
    if chart.nothing:
        raise NotFoundError(f"nothing to plot: {chart.nothing}", hint=chart.hint)
    others = tuple(each.key for each in lab.environments if each.key != environment.key)
    file = Path(f"{name}_{_UNFIT.sub('_', environment.name)[:80]}.svg")
    shown = {getattr(row, "round", None) for row in chart.rows}
    without = tuple(each for each in rounds if each not in shown)
    return LabChart(chart, environment.key, without, others, file)


def _asked(ledger: Ledger, name: str, asked: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The run that is asked for, or the rounds by `run/number`."""
    found = [parse_round_name(each) for each in asked if "/" in each]
    runs = [load_run(ledger, each).name for each in asked if "/" not in each]
    for run, number in found:
        find_record(ledger, run, number)  # raises an error that lists the rounds
    if found and name not in _OF_SOME:
        raise UsageError(
            f"the chart {name} is of whole runs, and {asked[0]} is a round", hint=f"autoqec plot {name} {found[0][0]}"
        )
    if len(runs) > 1 or (runs and found):
        raise UsageError(
            f"a chart is of one run or of rounds, and not of {some_of(asked)}",
            hint=f"autoqec plot {name} {runs[0]}, or --env for all rounds on an environment",
        )
    return (runs[0] if runs else None), tuple(f"{run}/{number}" for run, number in found)


def chosen_environment(lab: RecordedLab, rounds: Sequence[str]) -> RecordedEnvironment:
    """The environment of some rounds, `run/number`, else that of the latest run.

    Raises:
        UsageError: They are on several ones; or there are no rounds at all.
        NotFoundError: They are on none of these.
    """
    if rounds:
        found = [each for each in lab.environments if set(rounds) & set(each.by_name)]
        if len(found) > 1:
            raise UsageError(
                f"these rounds are on several environments: {', '.join(each.key for each in found)}",
                hint="plot those of one environment",
            )
        if not found:
            raise NotFoundError(f"{rounds[0]} is on another environment", hint="leave out --env")
        return found[0]
    if len(lab.environments) < 2:
        return only_environment(lab)
    latest = {run.name: place for place, run in enumerate(lab.runs)}
    return max(lab.environments, key=lambda each: max(latest.get(one.row.run, -1) for one in each.rounds))
