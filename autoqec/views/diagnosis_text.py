"""What people see of a diagnosis: each cause with its evidence, what to do, and a patch that nobody has applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from autoqec.views.console import out, plain

DIAGNOSIS_SCHEMA = "autoqec.diagnosis/1"

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold"}

_USE = "  nobody has applied it: give it to the coder of a round that forks {name} (autoqec agents reply coder)"


def print_diagnosis(run: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Every finding, then how many there are of each severity.

    Args:
        run: What was diagnosed.
        items: Findings as JSON objects.
    """
    console = out()
    for item in items:
        head = Text(f"{item['severity']} {item['cause']} ", style=_STYLES[item["severity"]])
        console.print(head + plain(f"{name_of(item)}: {item['says']}"), soft_wrap=True)
        for evidence in item["evidence"]:
            console.print(Text("  ") + plain(" ".join(evidence.splitlines())), style="dim", soft_wrap=True)
        console.print(Text("  next: ", style="bold") + plain(item["next_step"]), soft_wrap=True)
        if item["patch"]:
            console.print(Text("  patch:", style="bold"))
            for line in item["patch"].split("\n"):
                console.print(Text("    ") + plain(line), style=_line_style(line), soft_wrap=True)
            console.print(plain(_USE.format(name=name_of(item))), style="dim", soft_wrap=True)
    counts = {severity: sum(item["severity"] == severity for item in items) for severity in _STYLES}
    said = ", ".join(f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts.items() if count)
    console.print(plain(said or f"{run}: nothing is wrong"))


def name_of(item: Mapping[str, Any]) -> str:
    """What a finding is about: `run/number`, or the run."""
    return str(item["run"]) if item["round"] is None else f"{item['run']}/{item['round']}"


def headline(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first finding that says more than that patience is at its end, in two lines; none if there is none."""
    first = next((item for item in items if item["cause"] != "patience_reached"), None)
    if first is None:
        return []
    evidence = f" ({'; '.join(first['evidence'][:2])})" if first["evidence"] else ""
    return [f"{first['cause']}: {first['says']}{evidence}", f"  next: {first['next_step']}"]


def _line_style(line: str) -> str:
    return {"+": "green", "-": "red"}.get(line[:1], "")
