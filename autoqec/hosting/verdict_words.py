"""A round's verdict in a line: as the status of its commit, and as a line of git's own notes."""

from __future__ import annotations

from autoqec.hosting.host_contract import CommitStatus
from autoqec.reporting.round_sections import ratio_and_interval
from autoqec.results.reasons import verdict_words
from autoqec.views.round_json import RoundRow


def verdict_line(row: RoundRow) -> str:
    """The verdict that counts, with the ratio, its interval, the shots, and whether it is signed; empty without one."""
    if row.verdict is None:
        return ""
    words = verdict_words(row.verdict, row.verdict_reason or "")
    figures = row.holdout.figures if row.holdout else None
    if figures is not None and figures.ler_ratio is not None:
        words += f", ratio {ratio_and_interval(figures.ler_ratio, figures.ratio_interval)}, {figures.shots:,} shots"
    return words + (f", {row.trust['state']}" if row.trust else "")


def status_of(row: RoundRow) -> CommitStatus | None:
    """The status of a round's commit; None for a round without a verdict that counts."""
    line = verdict_line(row)
    return CommitStatus("success" if row.verdict == "VERIFIED" else "failure", line).fitted() if line else None
