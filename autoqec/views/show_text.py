"""Prints one round: three lines that say it all, then its figures, then what it changed; with its formulas if asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from autoqec.results.metrics import Metrics
from autoqec.results.reference_ratio import best_reference
from autoqec.results.round_results import RoundResults
from autoqec.views.conflict_text import conflicts_text
from autoqec.views.console import out, plain, plain_line
from autoqec.views.figures_text import interval_text, metrics_rows, ratio_text
from autoqec.views.fitted_console import bound
from autoqec.views.fitted_table import Column, cut, print_table
from autoqec.views.outcome_words import next_step, outcome_meaning, outcome_text
from autoqec.views.round_json import DevelopmentRow, Disagreement, RoundRow
from autoqec.views.tables import costs_text


@dataclass(frozen=True)
class RoundDetails:
    """The details that `autoqec show` prints besides a round's row.

    Attributes:
        results: Its metrics, analysis and verdict.
        message: The commit's text.
        diff: Of the candidate against its first parent.
        conflicts: The conflicts between the parents of a failed composition.
        trust: What the verdict is worth, in words; None if there is none.
    """

    results: RoundResults
    message: str = ""
    diff: str | None = None
    conflicts: Sequence[Disagreement] = ()
    trust: str | None = None


def print_round(item: RoundRow, details: RoundDetails, *, full: bool = False) -> None:
    """One round.

    Args:
        item: The round.
        details: What else it says.
        full: Whether to print all counts of the verdict, with its formulas.
    """
    console = out()
    _print_head(console, item)
    for problem in item.problems:
        console.print(Text("problem: ", style="red") + plain_line(problem))
    for title, rows in _figures(item, details, full):
        console.print(Text(f"\n{title}", style="bold"))
        print_table(console, (Column(), Column(least=24, wraps=True)), rows, headed=False)
    for title, text in _words(item, details, full):
        if text:
            console.print(Text(f"\n{title}", style="bold"))
            for line in text.rstrip("\n").split("\n"):
                style = {"+": "green", "-": "red"}.get(line[:1], "") if title == "change" else ""
                console.print(plain(line), style=style)


def _print_head(console: Console, item: RoundRow) -> None:
    """What it tried, what came out, and what that is worth."""
    tried = Text(item.branch, style="bold") + plain(": " + " ".join((item.hypothesis or "no hypothesis").split()))
    console.print(cut(tried, console.width))
    console.print(plain(_came_out(item)))
    state = f", {item.trust['state']}" if item.verdict is not None and item.trust is not None else ""
    meaning = outcome_meaning(item)
    word = outcome_text(item) + plain(state)
    if meaning and item.verdict is None and item.trust is None:
        word = plain_line(meaning)  # which begins with the word
    elif meaning:
        word += plain_line(f": {meaning.rstrip('.')}")
    console.print(word + Text(f"; next: {bound(next_step(item))}"))


def _came_out(item: RoundRow) -> str:
    best = item.best
    if best is None:
        return "no shots were scored"
    kind = "shots after the commit" if item.holdout else "development shots"
    if item.holdout is not None and item.holdout.sampling == "recorded":
        kind = "recorded shots"
    ratio = f"{ratio_text(best.ler_ratio, 3)} {interval_text(best.ratio_interval, 3)} (95 %)"
    return f"ratio to plain {ratio} over {best.shots:,} {kind}"


def _figures(item: RoundRow, details: RoundDetails, full: bool) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The verdict and the development shots, as rows."""
    metrics, verdict = details.results.metrics, details.results.verdict
    reference = best_reference(details.results)
    judged = verdict is not None and verdict.figures is not None
    if verdict:
        from autoqec.views.verdict_brief import brief_rows  # all parts of a verdict, which a log does not print

        shots = "recorded shots of the holdout" if verdict.is_finite else "shots drawn after the commit"
        rows = brief_rows(verdict, reference if judged else None)
        more = [] if full else [("formulas", f"autoqec show {item.name} --full")]
        yield f"verdict, on {shots}", [*rows, *([("trust", details.trust)] if details.trust else []), *more]
    elif details.trust:
        yield "verdict", [("trust", details.trust)]
    if metrics:
        asked = metrics.sent_on, metrics.passes_per_sent_shot
        row = DevelopmentRow(metrics.figures, metrics.costs, metrics.cut_short, *asked)
        rows = metrics_rows(metrics, None if judged else reference)
        yield "development shots", [*rows, ("costs", costs_text(row)), *_carried(metrics)]


def _words(item: RoundRow, details: RoundDetails, full: bool) -> Iterator[tuple[str, str]]:
    """What agents say, where the round comes from, what it changed, and the verdict with its formulas."""
    analysis, verdict = details.results.analysis, details.results.verdict
    if analysis:
        yield "analysis", f"{analysis.decision}: {analysis.summary}"
    yield "round", _origin(item)
    yield "why", details.message
    yield "conflicts", conflicts_text(details.conflicts, item.fork_from)
    yield "change", details.diff or ""
    if verdict and full:
        from autoqec.views.verdict_text import verdict_lines

        yield "verdict, with its formulas", verdict_lines(verdict)


def _origin(item: RoundRow) -> str:
    parents = ", ".join(parent[:40] for parent in item.fork_from) or "the baseline"
    # A round that ended before its idea was kept has neither of the two.
    known = [f"{name} {value}" for name, value in (("compose", item.compose), ("environment", item.env)) if value]
    commit = f"commit {item.commit[:12]}" if item.commit else "no commit"
    lines = [
        *([item.hypothesis] if item.hypothesis else []),
        plain_line("; ".join([commit, f"forked from {parents}", *known, f"status {item.status}"])).plain,
    ]
    if item.reason:
        lines.append(plain_line(f"reason: {item.reason}").plain)
    if item.renumbered_from:
        lines.append(f"renumbered: it was made as round {item.renumbered_from}, and its commit still says so")
    return "\n".join(lines)


def _carried(metrics: Metrics) -> Iterator[tuple[str, str]]:
    """How much of weights that come from another environment fits this one to the orbit; nothing of other weights."""
    told = metrics.measured.training
    if told is None or not told.carried_messages:
        return
    coarser, layer = (int(each or 0) for each in (told.carried_coarser, told.carried_layer))
    yield (
        "weights",
        f"of another environment: of {int(told.carried_messages):,} messages, {coarser:,} have the factor of a coarser"
        f" orbit, and {layer:,} that of their layer",
    )
