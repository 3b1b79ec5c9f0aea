"""What people see of rounds: the log, the front, one round in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from autoqec.views.console import out, plain

_VERDICT_STYLE = {"VERIFIED": "bold green", "SUSPICIOUS": "bold yellow", "FAILED": "red"}


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.5f}"


def _gain(item: Mapping[str, Any] | None) -> str:
    """Gain per shot in units of 1e-3, with its interval."""
    if not item or item.get("delta_ler") is None:
        return "–"
    low, high = item["delta_ler_ci"]
    return f"{1e3 * item['delta_ler']:+.2f} [{1e3 * low:+.2f}, {1e3 * high:+.2f}]"


def _count(value: int | None) -> str:
    if value is None:
        return "–"
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * limit:
            return f"{value / limit:.0f}{unit}"
        if value >= limit:
            return f"{value / limit:.1f}{unit}"
    return str(value)


def _verdict(item: Mapping[str, Any]) -> Text:
    word = item["verdict"]
    if word is not None:
        return Text(word, style=_VERDICT_STYLE.get(word, ""))
    return Text("–" if item["status"] == "ok" else item["status"], style="dim")


def _percent(item: Mapping[str, Any] | None) -> str:
    ratio = item.get("ler_ratio") if item else None
    return "–" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def _table(columns: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for header, justify in columns:
        last = header == "hypothesis"
        table.add_column(
            header,
            justify="right" if justify == "r" else "left",
            no_wrap=not last,
            overflow="fold" if last else "ellipsis",
        )
    return table


def print_log(items: Sequence[Mapping[str, Any]]) -> None:
    """One line a round, newest last."""
    if not items:
        out().print("No rounds yet. Run one with: autoqec round")
        return
    columns = "round l;verdict l;LER r;vs plain r;ΔLER ·1e-3 (95 %) r;FLOPs r;params r;from l;hypothesis l".split(";")
    table = _table([(c[:-2], c[-1]) for c in columns])
    for item in items:
        best = item["holdout"] or item["metrics"]
        metrics = item["metrics"] or {}
        table.add_row(
            f"{item['run']}/{item['round']}",
            _verdict(item),
            _rate(best["ler_candidate"] if best else None),
            _percent(best),
            _gain(best),
            _count(metrics.get("flops_per_shot")),
            _count(metrics.get("params")),
            plain(" + ".join(_short(parent, item["run"]) for parent in item["fork_from"]) or "baseline"),
            plain(item["hypothesis"] or item["reason"] or ""),
        )
    out().print(table)


def print_outcome(item: Mapping[str, Any]) -> None:
    """How a round ended: its branch, its verdict, and the figures that support it."""
    console = out()
    head = (
        Text(str(item["branch"]), style="bold") + Text(f"  {(item['commit'] or 'no commit')[:10]}  ") + _verdict(item)
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
        f" ratio {best['ler_ratio']:.3f} {_interval(best['ler_ratio_ci'], 3)} over {best['shots']:,} {origin}"
    )
    references = (item["holdout"] or {}).get("references") or item["references"] or {}
    if references:
        console.print(plain("  " + ", ".join(f"{name} {ler:.5f}" for name, ler in sorted(references.items()))))
    console.print(
        f"  {_count(metrics['flops_per_shot'])} FLOPs and {metrics['latency_us_per_shot']:.0f} µs per shot,"
        f" {_count(metrics['params'])} parameters; {_times(metrics)}"
    )


def _times(metrics: Mapping[str, Any]) -> str:
    return f"trained {metrics['train_seconds']:.0f} s, scored {metrics['score_seconds']:.0f} s"


def _short(parent: str, run: str) -> str:
    return parent.removeprefix(f"{run}/") if parent.startswith(f"{run}/") else parent[:16]


def print_front(items: Sequence[Mapping[str, Any]]) -> None:
    """The Pareto front, best gain first; figures are the verdicts'."""
    if not items:
        out().print("The front is empty: no round is VERIFIED yet.")
        return
    columns = "round l;LER r;vs plain r;ΔLER ·1e-3 (95 %) r;FLOPs r;params r;µs/shot r;dominates r;hypothesis l".split(
        ";"
    )
    table = _table([(c[:-2], c[-1]) for c in columns])
    for item in items:
        metrics = item["metrics"]
        table.add_row(
            f"{item['run']}/{item['round']}",
            _rate(item["holdout"]["ler_candidate"]),
            _percent(item["holdout"]),
            _gain(item["holdout"]),
            _count(metrics["flops_per_shot"]),
            _count(metrics["params"]),
            f"{metrics['latency_us_per_shot']:.0f}",
            str(len(item["dominates"])),
            plain(item["hypothesis"]),
        )
    out().print(table)


def _interval(ends: Sequence[float | None], digits: int) -> str:
    low, high = ends
    return f"[{low:.{digits}f}, {'∞' if high is None else f'{high:.{digits}f}'}]"


def _figures(item: Mapping[str, Any]) -> str:
    ratio = "–" if item["ler_ratio"] is None else f"{item['ler_ratio']:.4f}"
    lines = [
        f"LER {item['ler_candidate']:.6f}, plain {item['ler_baseline']:.6f}, over {item['shots']:,} shots",
        f"ΔLER {item['delta_ler']:+.6f} {_interval(item['delta_ler_ci'], 6)}, ratio {ratio} {_interval(item['ler_ratio_ci'], 4)}",
    ]
    references = item.get("references") or {}
    lines += [f"reference {name}: LER {ler:.6f}" for name, ler in sorted(references.items())]
    return "\n".join(lines)


def _verdict_text(verdict: Mapping[str, Any]) -> str:
    lines = [
        f"{verdict['verdict']} ({verdict['reason']}), attempt {verdict.get('attempt')} of the run, by {verdict.get('verifier')}"
    ]
    if "test" in verdict:
        c = verdict["test"]
        lines.append(
            f"test: {c['shots']:,} shots: both fail {c['both']:,}, plain only {c['baseline_only']:,},"
            f" candidate only {c['candidate_only']:,}"
        )
        lines.append(f"log evidence {verdict['log_e_better']:.2f}, needed log(1/α) = {verdict['log_e_needed']:.2f}")
    if "extension" in verdict:
        c = verdict["extension"]
        lines.append(
            f"headline, on {c['shots']:,} further shots: both {c['both']:,}, plain only {c['baseline_only']:,},"
            f" candidate only {c['candidate_only']:,}"
        )
    if verdict.get("ler_candidate") is not None:
        lines.append(_figures(verdict))
    if "fault" in verdict:
        lines.append(str(verdict["fault"]))
    lines.append(
        f"sandbox level {verdict.get('sandbox_level')}; holdout key {verdict.get('seed_key')};"
        f" took {verdict.get('seconds')} s"
    )
    return "\n".join(lines)


def print_verdict(verdict: Mapping[str, Any]) -> None:
    """A verdict, so that it can be checked by hand from its counts."""
    out().print(plain(_verdict_text(verdict)))


def print_round(item: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """One round in full.

    Args:
        item: Its JSON object.
        details: `message` (the commit's text), `diff` (of the candidate against its first parent), and the notes
            `metrics`, `analysis`, `verdict`, each or None.
    """
    console = out()
    console.print(
        Text(f"{item['branch']}", style="bold") + Text(f"  {(item['commit'] or 'no commit')[:12]}  ") + _verdict(item)
    )
    console.print(plain(item["hypothesis"] or ""))
    parents = ", ".join(str(parent)[:40] for parent in item["fork_from"]) or "the baseline"
    console.print(
        plain(f"forked from {parents}; compose {item['compose']}; environment {item['env']}; status {item['status']}")
    )
    if item["reason"]:
        console.print(plain(f"reason: {item['reason']}"))
    sections = [("why", details.get("message")), ("change", details.get("diff"))]
    if details.get("metrics"):
        m = details["metrics"]
        cost = (
            f"{_count(m['flops_per_shot'])} FLOPs and {m['latency_us_per_shot']:.0f} µs per shot,"
            f" {_count(m['params'])} parameters; {_times(m)}"
        )
        sections.append(("development shots", f"{_figures(m)}\n{cost}"))
    if details.get("analysis"):
        sections.append(("analysis", f"{details['analysis']['decision']}: {details['analysis']['summary']}"))
    if item["verdict"]:
        sections.append(("verdict, on shots drawn after the commit", _verdict_text(details["verdict"])))
    for title, text in sections:
        if text:
            console.print()
            console.print(Text(title, style="bold"))
            console.print(plain(str(text).rstrip("\n")))
    for problem in item["problems"]:
        console.print(Text("problem: ", style="red") + plain(problem))
