<<<<<<<< HEAD:autoqec/testing/gained_round.py
"""The notes of a round that gained, for tests, with any fields that a test changes."""
========
"""Sample notes for tests: what the notes of a round that gained hold, with the fields that a test changes."""
>>>>>>>> main:autoqec/testing/sample_notes.py

from __future__ import annotations

from typing import Any

from autoqec.results.figures import Holdout
from autoqec.results.metrics import Metrics, parse_metrics
from autoqec.results.verdict import parse_verdict

_FIGURES = {
    "shots": 20_000, "ler_baseline": 0.014, "ler_candidate": 0.011, "delta_ler": 0.003, "delta_ler_ci": [0.002, 0.004],
    "ler_ratio": 0.8, "ler_ratio_ci": [0.7, 0.9],
}  # fmt: skip
_COSTS = {
    "flops_per_shot": 1000, "params": 8, "latency_us_per_shot": 50.0, "train_seconds": 10.0, "score_seconds": 2.0,
}  # fmt: skip


def metrics_note(**changes: Any) -> dict[str, Any]:
    """The metrics note of a round that gained, with these fields otherwise."""
    return {**_FIGURES, **_COSTS, **changes}


def some_metrics(**changes: Any) -> Metrics | None:
    """The metrics in that note; None if the changes leave none."""
    return parse_metrics(metrics_note(**changes)).record


def verdict_note(verdict: str = "VERIFIED", reason: str = "better", **changes: Any) -> dict[str, Any]:
    """The verdict note of a round that gained, with these fields otherwise."""
    return {"verdict": verdict, "reason": reason, **_FIGURES, "flops_per_shot": 1000, "params": 8, **changes}


def some_holdout(**changes: Any) -> Holdout | None:
    """The figures of that verdict; None if the changes leave none."""
    verdict = parse_verdict(verdict_note(**changes)).record
    return verdict.holdout if verdict else None
