"""Prints rounds: the log, the front, one round in full."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoqec.results.figures import Figures, Gain
from autoqec.results.round_results import RoundResults
from autoqec.views.conflict_text import conflicts_text
from autoqec.views.console import out, plain
from autoqec.views.figures_text import interval_text, metrics_text, ratio_text
from autoqec.views.round_json import DevelopmentRow, Disagreement, RoundRow

_VERDICT_STYLE = {"VERIFIED": "bold green", "SUSPICIOUS": "bold yellow", "FAILED": "red"}


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.5f}"


def gain_text(gain: Gain | Figures | None) -> str:
    """Gain per shot in units of 1e-3, with its interval."""
    if gain is None:
        return "–"
    low, high = gain.gain_interval
    return f"{1e3 * gain.delta_ler:+.2f} [{1e3 * low:+.2f}, {1e3 * high:+.2f}]"


def count_text(value: float | None) -> str:
    """A cost in few characters, such as `2.1M`."""
    if value is None:
        return "–"
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * limit:
            return f"{value / limit:.0f}{unit}"
        if value >= limit:
            return f"{value / limit:.1f}{unit}"
    return str(value)


def sent_text(row: RoundRow) -> str:
    """The share of the shots that a gate sent on, or a dash."""
    return "–" if row.sent_on is None else f"{100 * row.sent_on:.1f} %"


def any_gated(rows: Iterable[RoundRow]) -> bool:
    """Whether a table of these rounds needs a column for that share."""
    return any(row.sent_on is not None for row in rows)


def is_signed(row: RoundRow) -> bool:
    """Whether an allowed signer signed the verdict that counts."""
    return row.trust is not None and row.trust["state"] == "signed"


def verdict_text(row: RoundRow) -> Text:
    """The verdict, with a mark if it is signed; or else the state of one that does not count, or how the round ended."""
    if row.verdict is not None:
        return Text(row.verdict + " ✓" * is_signed(row), style=_VERDICT_STYLE[row.verdict])
    if row.trust is not None:  # there is a verdict, and it does not count
        return Text(row.trust["state"], style="bold red" if row.trust["state"] in ("invalid", "foreign") else "dim")
    shown = plain("–" if row.status == "ok" else row.status)
    shown.stylize("dim")
    return shown


def _percent(figures: Figures | None) -> str:
    ratio = figures.ler_ratio if figures else None
    return "–" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


#: With less room than this, the hypothesis gets no column.
_LEAST_WORDS = 16

#: From this width on, the front shows the bytes of candidates too.
_WIDE = 100


def _print_table(console: Console, left: str, right: str, rows: Sequence[tuple[str | Text, ...]]) -> None:
    """Print text columns (`left`), figures (`right`), and last the hypothesis in the rest of the line.

    A table library shrinks all columns of a table that is too wide; here only the hypothesis shrinks, to nothing if needed.
    """
    headers = [*left.split(";"), *right.split(";")]
    texts = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    widths = [max([cell_len(header), *(row[i].cell_len for row in texts)]) for i, header in enumerate(headers)]
    room = console.width - sum(widths) - 2 * len(widths)
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for place, header in enumerate(headers):
        table.add_column(header, no_wrap=True, justify="left" if place < len(left.split(";")) else "right")
    if room >= _LEAST_WORDS:
        table.add_column("hypothesis", no_wrap=True)
    for row in texts:
        row[-1].truncate(max(room, 1), overflow="ellipsis")
        table.add_row(*row[: len(table.columns)])
    console.width = max(console.width, sum(widths) + 2 * len(widths))
    console.print(table, crop=False)


def print_log(items: Sequence[RoundRow]) -> None:
    """One line a round, run by run, newest last."""
    console = out()
    if not items:
        console.print("No rounds yet. Run one with: autoqec round")
    for run, group in groupby(items, key=lambda item: item.run):
        rounds = list(group)
        env, gated = next((item.env for item in rounds if item.env), ""), any_gated(rounds)
        console.print(Text(run, style="bold") + plain(f"  {env}"))
        rows: list[tuple[str | Text, ...]] = []
        for item in rounds:
            costs = item.metrics.costs if item.metrics else None
            row: tuple[str | Text, ...] = (
                str(item.round),
                verdict_text(item),
                plain(" + ".join(_short(parent, run) for parent in item.fork_from) or "baseline"),
                _rate(item.best.ler_candidate if item.best else None),
                _percent(item.best),
                gain_text(item.best),
                count_text(costs.flops_per_shot if costs else None),
                *([sent_text(item)] if gated else []),
                count_text(costs.params if costs else None),
                plain(item.hypothesis or item.reason or ""),
            )
            rows.append(row)
        costs_shown = "FLOPs;sent;params" if gated else "FLOPs;params"
        _print_table(console, "#;verdict;from", f"LER;vs plain;ΔLER·1e-3 (95 %);{costs_shown}", rows)


def print_outcome(item: RoundRow) -> None:
    """How a round ended: its branch, its verdict, and the figures that support it."""
    console = out()
    head = Text(item.branch, style="bold") + Text(f"  {(item.commit or 'no commit')[:10]}  ") + verdict_text(item)
    console.print(head)
    _print_indented(console, item.hypothesis or "")
    if item.reason:
        _print_indented(console, f"{item.status}: {item.reason}")
    best = item.best
    if best is None:
        return
    origin = "shots drawn after the commit" if item.holdout else "development shots"
    _print_indented(
        console,
        f"LER {best.ler_candidate:.5f}, plain {best.ler_baseline:.5f} ({_percent(best)}):"
        f" ratio {ratio_text(best.ler_ratio, 3)} {interval_text(best.ratio_interval, 3)} over {best.shots:,} {origin}",
    )
    references = (item.holdout.references if item.holdout else None) or item.references or {}
    if references:
        _print_indented(console, ", ".join(f"{name} {ler:.5f}" for name, ler in sorted(references.items())))
    if item.metrics is not None:
        _print_indented(console, _costs_text(item.metrics))


def _print_indented(console: Console, text: str) -> None:
    """A paragraph below a heading: every line of it is indented, also those that a narrow terminal makes of it."""
    for line in wrap(plain(text).plain, max(console.width - 2, 1)):
        console.print(plain(f"  {line}"), soft_wrap=True)


def _costs_text(row: DevelopmentRow) -> str:
    """Costs, and how many of the planned steps of training the time allowed, where it did not allow all."""
    costs, steps = row.costs, row.steps
    cut = f" ({steps[0]:,.0f} of {steps[1]:,.0f} steps, no time for more)" if steps else ""
    gated = "" if row.sent_on is None else f" as the mean of all shots, {100 * row.sent_on:.1f} % of which are sent on"
    return (
        f"{count_text(costs.flops_per_shot)} FLOPs and {costs.latency_us_per_shot:.0f} µs per shot{gated},"
        f" {count_text(costs.params)} parameters; trained {costs.train_seconds:.0f} s{cut}, scored {costs.score_seconds:.0f} s"
    )


def _short(parent: str, run: str) -> str:
    return parent.removeprefix(f"{run}/") if parent.startswith(f"{run}/") else parent[:16]


def print_front(items: Sequence[RoundRow]) -> None:
    """The Pareto front, environment by environment, best gain first; figures are the verdicts'."""
    console = out()
    wide = console.width >= _WIDE
    if not items:
        console.print("The front is empty: no round is VERIFIED yet.")
    for env, group in groupby(items, key=lambda item: f"{item.env}@{str(item.env_id)[:12]}"):
        console.print(plain(env))
        rows: list[tuple[str | Text, ...]] = []
        members = list(group)
        gated = any_gated(members)
        for item in members:
            holdout, costs = item.holdout, item.metrics.costs if item.metrics else None
            figures = holdout.figures if holdout else None
            # Costs as the verifier counted them, if the verdict has them.
            flops = (holdout.flops_per_shot if holdout else None) or (costs.flops_per_shot if costs else None)
            params = (holdout.params if holdout else None) or (costs.params if costs else None)
            row: tuple[str | Text, ...] = (
                " ".join(filter(None, (item.name, "✓" * is_signed(item) + "*" * bool(item.confirmed)))),
                _rate(figures.ler_candidate if figures else None),
                _percent(figures),
                gain_text(figures),
                count_text(flops),
                *([sent_text(item)] if gated else []),
                count_text(params),
                *([count_text(holdout.bytes if holdout else None)] if wide else []),
                "–" if costs is None else f"{costs.latency_us_per_shot:.0f}",
                str(len(item.dominates)),
                plain(item.hypothesis or ""),
            )
            rows.append(row)
        columns = ";".join(["FLOPs", *["sent"] * gated, "params", *["bytes"] * wide, "µs"])
        _print_table(console, "round", f"LER;vs plain;ΔLER·1e-3 (95 %);{columns};beats", rows)
    if any(item.confirmed for item in items):
        console.print("* confirmed: on the front for any true gains within the intervals")
    if any(map(is_signed, items)):
        console.print("✓ the verdict is signed by an allowed signer")


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


def print_round(item: RoundRow, details: RoundDetails) -> None:
    """One round in full."""
    console = out()
    console.print(
        Text(item.branch, style="bold") + Text(f"  {(item.commit or 'no commit')[:12]}  ") + verdict_text(item)
    )
    if item.hypothesis:
        console.print(plain(item.hypothesis))
    parents = ", ".join(parent[:40] for parent in item.fork_from) or "the baseline"
    # A round that ended before its idea was kept has neither of the two.
    known = [f"{name} {value}" for name, value in (("compose", item.compose), ("environment", item.env)) if value]
    console.print(plain("; ".join([f"forked from {parents}", *known, f"status {item.status}"])))
    if item.reason:
        console.print(plain(f"reason: {item.reason}"))
    if item.renumbered_from:
        console.print(f"renumbered: it was made as round {item.renumbered_from}, and its commit still says so")
    for title, text in _sections(item, details):
        if text:
            console.print()
            console.print(Text(title, style="bold"))
            console.print(plain(text.rstrip("\n")))
    if item.verdict is None and details.trust:
        console.print(Text("verdict: ", style="red") + plain(details.trust))
    for problem in item.problems:
        console.print(Text("problem: ", style="red") + plain(problem))


def _sections(item: RoundRow, details: RoundDetails) -> Iterator[tuple[str, str]]:
    metrics, analysis, verdict = details.results.metrics, details.results.analysis, details.results.verdict
    yield "why", details.message
    yield "change", details.diff or ""
    yield "conflicts", conflicts_text(details.conflicts, item.fork_from)
    if metrics:
        row = DevelopmentRow(metrics.figures, metrics.costs, metrics.cut_short, metrics.sent_on)
        yield "development shots", f"{metrics_text(metrics)}\n{_costs_text(row)}"
    if analysis:
        yield "analysis", f"{analysis.decision}: {analysis.summary}"
    if verdict:
        trust = f"\n{details.trust}" if details.trust else ""
        from autoqec.views.verdict_text import (
            verdict_lines,  # with all the parts of a verdict, which a log does not print
        )

        yield "verdict, on shots drawn after the commit", verdict_lines(verdict) + trust
