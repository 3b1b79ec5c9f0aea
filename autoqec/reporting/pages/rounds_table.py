"""The table of all rounds of a report: one row each, in words and figures that a reader can sort and filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoqec.reporting.charts.charted_rounds import short_names
from autoqec.reporting.recorded_lab import RecordedEnvironment, RecordedRound
from autoqec.reporting.round_sections import anchor_of, word_of
from autoqec.results.sought_found import OUTCOMES
from autoqec.views.figures_text import interval_text, rate_text, ratio_text
from autoqec.views.tables import BEST_MARK, count_text, gain_text

#: Characters of a hypothesis in a row.
_WORDS = 140

#: The columns: a heading, and whether its cells are words.
COLUMNS: tuple[tuple[str, bool], ...] = (
    ("round", True),
    ("environment", True),
    ("came out", True),
    ("from", True),
    ("ratio (95 %)", False),
    ("LER", False),
    ("ΔLER·1e-3 (95 %)", False),
    ("FLOPs", False),
    ("parameters", False),
    ("took", False),
    ("cost", False),
    ("hypothesis", True),
)


@dataclass(frozen=True)
class TableRow:
    """A round in the table.

    Attributes:
        name, anchor: The round, and the name of its section.
        short: What it is called in the table: its number, where all are of one run.
        outcome: How it came out, as `Outcome` says it.
        cells: After the name.
    """

    name: str
    anchor: str
    short: str
    outcome: str
    cells: Sequence[str]


@dataclass(frozen=True)
class RoundsTable:
    """The table of all rounds.

    Attributes:
        heads: Of its columns, each with whether its cells are words.
        rows: Newest last.
        outcomes, environments, runs: What there is to choose from.
    """

    heads: Sequence[tuple[str, bool]]
    rows: Sequence[TableRow]
    outcomes: Sequence[str]
    environments: Sequence[str]
    runs: Sequence[str]


def rounds_table(environments: Sequence[RecordedEnvironment]) -> RoundsTable:
    """The table of the rounds of some environments.

    A column whose cells would all be the same dash, or the same environment, is left out.
    """
    rows = [_row(each, environment.key) for environment in environments for each in environment.rounds]
    kept = [place for place in range(len(COLUMNS) - 1) if _is_needed(place, rows, len(environments))]
    there, names = {row.outcome for row in rows}, short_names([row.name for row in rows])
    return RoundsTable(
        heads=[COLUMNS[0], *(COLUMNS[place + 1] for place in kept)],
        rows=[replace(row, short=names[row.name], cells=[row.cells[place] for place in kept]) for row in rows],
        outcomes=[each for each in OUTCOMES if each in there],
        environments=[environment.key for environment in environments],
        runs=list(dict.fromkeys(row.name.rpartition("/")[0] for row in rows)),
    )


def _is_needed(place: int, rows: Sequence[TableRow], environments: int) -> bool:
    name = COLUMNS[place + 1][0]
    return environments > 1 if name == "environment" else any(row.cells[place] != "–" for row in rows)


def _row(found: RecordedRound, key: str) -> TableRow:
    row, best, costs, spent = found.row, found.row.best, found.row.costs, found.spent
    mark = f" {BEST_MARK}" if row.best_so_far is not None and row.best_so_far.new else ""
    ratio = None if best is None else best.ler_ratio
    cells = (
        key,
        word_of(found) + mark,
        " + ".join(parent.removeprefix(f"{row.run}/")[:40] for parent in row.fork_from) or "–",
        "–" if best is None or ratio is None else f"{ratio_text(ratio, 3)} {interval_text(best.ratio_interval, 3)}",
        "–" if best is None else rate_text(best.ler_candidate, 5),
        gain_text(best),
        count_text(costs.flops_per_shot if costs else None),
        count_text(costs.params if costs else None),
        "–" if spent.untimed else f"{spent.seconds:,.0f} s",
        f"${spent.cost:,.2f}" if spent.cost else "–",
        short_words(row.hypothesis or row.reason or ""),
    )
    return TableRow(row.name, anchor_of(row.name), row.name, found.outcome, cells)


def short_words(text: str) -> str:
    """The beginning of a text that stands in a row."""
    line = " ".join(text.split())
    return line if len(line) <= _WORDS else f"{line[: _WORDS - 1]}…"
