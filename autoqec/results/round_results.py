"""The results of one round: metrics, analysis and verdict, each parsed once, and the problems of their notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from autoqec.results.analysis import Analysis, parse_analysis
from autoqec.results.metrics import Metrics, parse_metrics
from autoqec.results.verdict import Verdict, parse_verdict


class Noted(Protocol):
    """Any object that holds some or all of a round's three notes as JSON values."""

    @property
    def metrics(self) -> Any:
        """The metrics note."""

    @property
    def analysis(self) -> Any:
        """The analysis note."""

    @property
    def verdict(self) -> Any:
        """The verdict note."""


@dataclass(frozen=True)
class RoundResults:
    """The parsed results of a round.

    Attributes:
        metrics, analysis, verdict: None where there is no note, or a malformed one.
        problems: One sentence per malformed note.
    """

    metrics: Metrics | None = None
    analysis: Analysis | None = None
    verdict: Verdict | None = None
    problems: tuple[str, ...] = ()

    def to_notes(self) -> dict[str, dict[str, Any] | None]:
        """Each as a note holds it, by kind."""
        found = {"metrics": self.metrics, "verdict": self.verdict, "analysis": self.analysis}
        return {kind: record.to_note() if record else None for kind, record in found.items()}


def read_results(noted: Noted) -> RoundResults:
    """Parse the results from a round's notes, whatever they hold."""
    metrics, verdict, analysis = (
        parse_metrics(noted.metrics),
        parse_verdict(noted.verdict),
        parse_analysis(noted.analysis),
    )
    problems = tuple(each.problem for each in (metrics, verdict, analysis) if each.problem is not None)
    return RoundResults(metrics.record, analysis.record, verdict.record, problems)
