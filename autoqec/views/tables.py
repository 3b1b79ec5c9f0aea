"""What people see of rounds: the log, the front, one round in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoqec.views.conflict_text import conflicts_text
from autoqec.views.console import out, plain
from autoqec.views.figures_text import figures_text, interval_text, ratio_text
from autoqec.views.verdict_text import verdict_lines

_VERDICT_STYLE = {"VERIFIED": "bold green", "SUSPICIOUS": "bold yellow", "FAILED": "red"}


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.5f}"


def gain_text(item: Mapping[str, Any] | None) -> str:
    """Gain per shot in units of 1e-3, with its interval."""
    if not item or item.get("delta_ler") is None:
        return "–"
    low, high = item["delta_ler_ci"]
    return f"{1e3 * item['delta_ler']:+.2f} [{1e3 * low:+.2f}, {1e3 * high:+.2f}]"


def count_text(value: int | None) -> str:
    """A cost in few characters, such as `2.1M`."""
    if value is None:
        return "–"
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * limit:
            return f"{value / limit:.0f}{unit}"
        if value >= limit:
            return f"{value / limit:.1f}{unit}"
    return str(value)


def verdict_text(item: Mapping[str, Any]) -> Text:
    """The verdict, or else how the round ended."""
    word = item["verdict"]
    if word is not None:
        return Text(word, style=_VERDICT_STYLE[word])
    shown = plain("–" if item["status"] == "ok" else item["status"])
    shown.stylize("dim")
    return shown


def _percent(item: Mapping[str, Any] | None) -> str:
    ratio = item.get("ler_ratio") if item else None
    return "–" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


#: Less room than this is not worth a column of words.
_LEAST_WORDS = 16


def _print_table(console: Console, left: str, right: str, rows: Sequence[tuple[str | Text, ...]]) -> None:
    """Print text columns (`left`), figures (`right`), and last the hypothesis on what is left of the line.

    A table library squeezes all columns of a table that is too wide; here only the hypothesis gives way, wholly if need be.
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


def print_log(items: Sequence[Mapping[str, Any]]) -> None:
    """One line a round, run by run, newest last."""
    console = out()
    if not items:
        console.print("No rounds yet. Run one with: autoqec round")
    for run, group in groupby(items, key=lambda item: item["run"]):
        rounds = list(group)
        env = next((item["env"] for item in rounds if item["env"]), "")
        console.print(Text(run, style="bold") + plain(f"  {env}"))
        rows: list[tuple[str | Text, ...]] = []
        for item in rounds:
            best = item["holdout"] or item["metrics"]
            metrics = item["metrics"] or {}
            row = (
                str(item["round"]),
                verdict_text(item),
                plain(" + ".join(_short(parent, run) for parent in item["fork_from"]) or "baseline"),
                _rate(best["ler_candidate"] if best else None),
                _percent(best),
                gain_text(best),
                count_text(metrics.get("flops_per_shot")),
                count_text(metrics.get("params")),
                plain(item["hypothesis"] or item["reason"] or ""),
            )
            rows.append(row)
        _print_table(console, "#;verdict;from", "LER;vs plain;ΔLER·1e-3 (95 %);FLOPs;params", rows)


def print_outcome(item: Mapping[str, Any]) -> None:
    """How a round ended: its branch, its verdict, and the figures that support it."""
    console = out()
    head = (
        Text(str(item["branch"]), style="bold")
        + Text(f"  {(item['commit'] or 'no commit')[:10]}  ")
        + verdict_text(item)
    )
    console.print(head)
    console.print(plain(f"  {item['hypothesis'] or ''}"))
    if item["reason"]:
        console.print(plain(f"  {item['status']}: {item['reason']}"))
    best = item["holdout"] or item["metrics"]
    if best is None:
        return
    origin = "shots drawn after the commit" if item["holdout"] else "development shots"
    metrics = item["metrics"]
    console.print(
        f"  LER {best['ler_candidate']:.5f}, plain {best['ler_baseline']:.5f} ({_percent(best)}):"
        f" ratio {ratio_text(best['ler_ratio'], 3)} {interval_text(best['ler_ratio_ci'], 3)} over {best['shots']:,} {origin}"
    )
    references = (item["holdout"] or {}).get("references") or item["references"] or {}
    if references:
        console.print(plain("  " + ", ".join(f"{name} {ler:.5f}" for name, ler in sorted(references.items()))))
    if metrics is None:
        return
    console.print(
        f"  {count_text(metrics['flops_per_shot'])} FLOPs and {metrics['latency_us_per_shot']:.0f} µs per shot,"
        f" {count_text(metrics['params'])} parameters; {_times(metrics)}"
    )


def _times(metrics: Mapping[str, Any]) -> str:
    return f"trained {metrics['train_seconds']:.0f} s, scored {metrics['score_seconds']:.0f} s"


def _short(parent: str, run: str) -> str:
    return parent.removeprefix(f"{run}/") if parent.startswith(f"{run}/") else parent[:16]


def print_front(items: Sequence[Mapping[str, Any]]) -> None:
    """The Pareto front, environment by environment, best gain first; figures are the verdicts'."""
    console = out()
    if not items:
        console.print("The front is empty: no round is VERIFIED yet.")
    for env, group in groupby(items, key=lambda item: f"{item['env']}@{str(item['env_id'])[:12]}"):
        console.print(plain(str(env)))
        rows: list[tuple[str | Text, ...]] = []
        for item in group:
            holdout, metrics = item["holdout"], item["metrics"] or {}
            latency = metrics.get("latency_us_per_shot")
            # Costs as the verifier counted them, where it says.
            flops, params = (holdout.get(name) or metrics.get(name) for name in ("flops_per_shot", "params"))
            row = (
                f"{item['run']}/{item['round']}{' *' if item['confirmed'] else ''}",
                _rate(holdout["ler_candidate"]),
                _percent(holdout),
                gain_text(holdout),
                count_text(flops),
                count_text(params),
                "–" if latency is None else f"{latency:.0f}",
                str(len(item["dominates"])),
                plain(item["hypothesis"]),
            )
            rows.append(row)
        _print_table(console, "round", "LER;vs plain;ΔLER·1e-3 (95 %);FLOPs;params;µs;beats", rows)
    if any(item["confirmed"] for item in items):
        console.print("* confirmed: on the front wherever in their intervals the gains truly are")


def print_round(item: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """One round in full.

    Args:
        item: Its JSON object.
        details: `message` (the commit's text), `diff` (of the candidate against its first parent), and the notes
            `metrics`, `analysis`, `verdict`, each or None, `conflicts`, and `signature`,
            whose the verdict's is.
    """
    console = out()
    console.print(
        Text(f"{item['branch']}", style="bold")
        + Text(f"  {(item['commit'] or 'no commit')[:12]}  ")
        + verdict_text(item)
    )
    console.print(plain(item["hypothesis"] or ""))
    parents = ", ".join(str(parent)[:40] for parent in item["fork_from"]) or "the baseline"
    console.print(
        plain(f"forked from {parents}; compose {item['compose']}; environment {item['env']}; status {item['status']}")
    )
    if item["reason"]:
        console.print(plain(f"reason: {item['reason']}"))
    if item["renumbered_from"]:
        console.print(f"renumbered: it was round {item['renumbered_from']} when it was made, and its commit says so")
    sections = [("why", details.get("message")), ("change", details.get("diff"))]
    sections.append(("conflicts", conflicts_text(details.get("conflicts") or (), item["fork_from"])))
    if details.get("metrics"):
        m = details["metrics"]
        cost = (
            f"{count_text(m['flops_per_shot'])} FLOPs and {m['latency_us_per_shot']:.0f} µs per shot,"
            f" {count_text(m['params'])} parameters; {_times(m)}"
        )
        sections.append(("development shots", f"{figures_text(m)}\n{cost}"))
    if details.get("analysis"):
        sections.append(("analysis", f"{details['analysis']['decision']}: {details['analysis']['summary']}"))
    if item["verdict"]:
        signature = f"\n{details['signature']}" if details.get("signature") else ""
        sections.append(("verdict, on shots drawn after the commit", verdict_lines(details["verdict"]) + signature))
    for title, text in sections:
        if text:
            console.print()
            console.print(Text(title, style="bold"))
            console.print(plain(str(text).rstrip("\n")))
    for problem in item["problems"]:
        console.print(Text("problem: ", style="red") + plain(problem))
