"""Prints the findings of `autoqec fsck`: what is wrong, how severe it is, and a hint."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from autoqec.counted_words import counted
from autoqec.history import Finding, Repaired
from autoqec.views.console import out, plain

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold"}


def print_findings(findings: Sequence[Finding]) -> None:
    """Print each finding with its hint, then the number of findings of each severity."""
    console = out()
    for finding in findings:
        head = Text(f"{finding.severity} {finding.code} ", style=_STYLES[finding.severity])
        console.print(head + plain(f"{finding.ref}: {finding.problem}"), soft_wrap=True)
        by = "  --repair would: " if finding.repairable else "  hint: "
        console.print_whole(Text(by, style="bold") + plain(finding.hint))
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in _STYLES}
    found = ", ".join(counted(count, severity) for severity, count in counts.items() if count)
    console.print(plain(found or "the record is sound"))


def print_repaired(repaired: Sequence[Repaired]) -> None:
    """Print each repair."""
    for item in repaired:
        out().print(
            Text(f"repaired {item.code} ", style="bold green") + plain(f"{item.ref}: {item.what}"), soft_wrap=True
        )
