"""Sample notes for tests: what the notes of a round that gained hold, with the fields that a test changes."""

from __future__ import annotations

from typing import Any

from autoqec.results.figures import Holdout
from autoqec.results.metrics import Metrics, parse_metrics
from autoqec.results.verdict import parse_verdict
from autoqec.testing.recorded import figures

#: Of a round's figures those that only its metrics have.
_OF_METRICS = ("latency_us_per_shot", "train_seconds", "score_seconds")


def metrics_note(**changes: Any) -> dict[str, Any]:
    """The metrics note of a round that gained, with these fields otherwise."""
    return figures(**changes)


def some_metrics(**changes: Any) -> Metrics | None:
    """The metrics in that note; None if the changes leave none."""
    return parse_metrics(metrics_note(**changes)).record


def verdict_note(verdict: str = "VERIFIED", reason: str = "better", **changes: Any) -> dict[str, Any]:
    """The verdict note of a round that gained, with these fields otherwise."""
    known = {name: value for name, value in figures().items() if name not in _OF_METRICS}
    return {"verdict": verdict, "reason": reason, **known, **changes}


def some_holdout(**changes: Any) -> Holdout | None:
    """The figures of that verdict; None if the changes leave none."""
    verdict = parse_verdict(verdict_note(**changes)).record
    return verdict.holdout if verdict else None
