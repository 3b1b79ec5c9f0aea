"""Prints a diagnosis: each cause with its evidence, the next step, and a patch that is not applied."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from autoqec.results.diagnosis_finding import DiagnosisFinding
from autoqec.views.console import out, plain

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold"}

_USE = "  not applied: give it to the coder of a round that forks {name} (autoqec agents reply coder)"


def print_diagnosis(run: str, findings: Sequence[DiagnosisFinding]) -> None:
    """Every finding, then how many there are of each severity.

    Args:
        run: What was diagnosed.
        findings: What was found.
    """
    console = out()
    for each in findings:
        head = Text(f"{each.severity} {each.cause} ", style=_STYLES[each.severity])
        console.print(head + plain(f"{each.name}: {each.says}"), soft_wrap=True)
        for evidence in each.evidence:
            console.print(Text("  ") + plain(" ".join(evidence.splitlines())), style="dim", soft_wrap=True)
        console.print(Text("  next: ", style="bold") + plain(each.next_step), soft_wrap=True)
        if each.patch:
            console.print(Text("  patch:", style="bold"))
            for line in each.patch.split("\n"):
                console.print(Text("    ") + plain(line), style=_line_style(line), soft_wrap=True)
            console.print(plain(_USE.format(name=each.name)), style="dim", soft_wrap=True)
    counts = {severity: sum(each.severity == severity for each in findings) for severity in _STYLES}
    said = ", ".join(f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts.items() if count)
    console.print(plain(said or f"{run}: nothing is wrong"))


def headline(findings: Sequence[DiagnosisFinding]) -> list[str]:
    """The first finding other than spent patience, in two lines; none if there is none."""
    first = next((each for each in findings if each.cause != "patience_reached"), None)
    if first is None:
        return []
    evidence = f" ({'; '.join(first.evidence[:2])})" if first.evidence else ""
    return [f"{first.cause}: {first.says}{evidence}", f"  next: {first.next_step}"]


def _line_style(line: str) -> str:
    return {"+": "green", "-": "red"}.get(line[:1], "")
