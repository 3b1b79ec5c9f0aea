"""Chooses the metrics and the analysis of a round among the lines of their notes. Nobody signs these, so other things decide.

Only lines of their schema compete, and only metrics whose figures follow from their own counts. Then, in this order: the line
that the verdict that counts names; the line with the id of the round's attempt, which is the one that the program writes; a line
that no other one supersedes; the line that was written first. So junk hides nothing, and neither does a later forgery. Time
decides between lines of equal standing only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from autoqec.results.analysis import parse_analysis
from autoqec.results.gate_costs import noted_mean_flops
from autoqec.results.metrics import Metrics, parse_metrics
from autoqec.results.note_form import read_counts
from autoqec.results.note_lines import Line

#: Says why a line is no whole record of its kind; empty if it is one.
Problem = Callable[[Line], str]


def metrics_problem(line: Line) -> str:
    """Why a line is no whole metrics record; empty if it is one."""
    from autoqec.results.audit import figures_differ  # see `line_trust.cheap_audit`
    from autoqec.results.interval_ends import EVALUATED

    metrics = parse_metrics(line.record).record
    if metrics is None:
        return "it does not match the schema of metrics"
    try:
        counts = read_counts(line.record.get("counts"))
        if counts is None:
            return "it has no counts"
        found = [*figures_differ("figures", metrics.figures, counts, EVALUATED), *_mean_cost_differs(metrics)]
        for place, row in enumerate(metrics.measured.other_rates):
            if row.counts is None:
                return f"other_rates.{place} has no counts"
            found += figures_differ(f"other_rates.{place}", row.figures, row.counts, EVALUATED)
    except (ArithmeticError, ValueError) as error:
        return f"its figures are impossible: {error}"
    if line.record.get("rung") is not None and (metrics.rung is None or not metrics.rung.follows):
        found.append("its rung does not follow from the counts of its screen")
    if metrics.costs.flops_per_shot < 0 or metrics.costs.params < 0:
        found.append("its costs are negative")
    return found[0] if found else ""


def _mean_cost_differs(metrics: Metrics) -> Iterator[str]:
    """Whether the mean cost of a gated candidate does not follow from the shots that were sent on."""
    measured = metrics.measured
    if measured.sent is None and measured.flops_per_sent_shot is None:
        return
    shots = metrics.figures.shots
    mean = noted_mean_flops(measured.flops_per_sent_shot, measured.sent, measured.passes, shots, measured.gate_flops)
    if mean is None or mean != metrics.costs.flops_per_shot:
        yield "its mean cost does not follow from the shots that were sent on"


def analysis_problem(line: Line) -> str:
    """Why a line is no analysis; empty if it is one."""
    return "" if parse_analysis(line.record).record is not None else "it does not match the schema of an analysis"


def scored_in(whole: Iterable[Line]) -> tuple[tuple[str, str, str], ...]:
    """Of each whole metrics record its id, and the hashes of the candidate and of the weights; see `Subject.scored`."""
    names = ("id", "candidate", "weights_sha256")
    return tuple(tuple(_text(line.record.get(name)) for name in names) for line in whole)  # type: ignore[misc]


def choose(whole: Iterable[Line], named: Any = None, attempt: str | None = None) -> Line | None:
    """Choose among the whole lines of a note; see the module.

    Args:
        whole: The lines that have no problem.
        named: The id that the verdict that counts names, if these are metrics.
        attempt: The round's attempt, from its commit.
    """
    lines = list(whole)
    if len(lines) > 1:
        lines = _only(lines, lambda line: line.id == named)
        lines = _only(lines, lambda line: line.id == attempt)
        replaced = {_text(line.record.get("supersedes")) for line in lines if line.record.get("supersedes") != line.id}
        lines = _only(lines, lambda line: line.id not in replaced)
    return min(lines, key=lambda line: (_text(line.record.get("ts")), line.id, line.digest), default=None)


def _only(lines: list[Line], keep: Callable[[Line], bool]) -> list[Line]:
    """The lines that fulfil a condition, or all if none does."""
    return [line for line in lines if keep(line)] or lines


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
