"""The results of one round: its metrics, its analysis and its verdict, each parsed once, and what is wrong with their notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from autoqec.results.analysis import Analysis, parse_analysis
from autoqec.results.metrics import Metrics, parse_metrics
from autoqec.results.verdict import Verdict, parse_verdict


class Noted(Protocol):
    """What has the three notes of a round, or some of them, as JSON values."""

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
    """What is known of a round.

    Attributes:
        metrics, analysis, verdict: None where there is no note, or one of another form.
        problems: A sentence about each note of another form.
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
    """The results in a round's notes, whatever these hold."""
    metrics, verdict, analysis = (
        parse_metrics(noted.metrics),
        parse_verdict(noted.verdict),
        parse_analysis(noted.analysis),
    )
    problems = tuple(each.problem for each in (metrics, verdict, analysis) if each.problem is not None)
    return RoundResults(metrics.record, analysis.record, verdict.record, problems)
