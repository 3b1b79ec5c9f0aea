"""A run as experiment trackers take it: a step for each finished round, with numbers under names that stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autoqec.history import Run
from autoqec.installed_package import __version__
from autoqec.reporting.recorded_lab import RecordedLab, RecordedRound
from autoqec.results.figures import Figures

#: What each metric is. The names never change their meaning, because dashboards of others are built on them.
METRICS: Mapping[str, str] = {
    "verified": "1 if the verdict that counts is VERIFIED, else 0",
    "holdout/shots": "shots of the verdict's figures",
    "holdout/ler": "logical error rate per shot, on the holdout",
    "holdout/ler_baseline": "of the classical decoder alone, on the same shots",
    "holdout/ler_ratio": "ratio of the two",
    "holdout/ler_ratio_low": "lower end of its 95 % interval",
    "holdout/ler_ratio_high": "upper end of its 95 % interval",
    "development/shots": "shots of scoring",
    "development/ler": "logical error rate per shot, on development shots",
    "development/ler_baseline": "of the classical decoder alone, on the same shots",
    "development/ler_ratio": "ratio of the two",
    "development/ler_ratio_low": "lower end of its 95 % interval",
    "development/ler_ratio_high": "upper end of its 95 % interval",
    "cost/flops_per_shot": "FLOPs per shot of the predecoder",
    "cost/params": "its parameters",
    "cost/us_per_shot": "microseconds per shot, prediction and decoding, as measured in scoring",
    "best/ler_ratio": "ratio of the best VERIFIED round of the environment so far",
    "spent/seconds": "wall-clock seconds of the round",
    "spent/tokens": "tokens of its agents",
    "spent/dollars": "cost of its agents, as far as prices are known",
}


@dataclass(frozen=True)
class TrackedRun:
    """A run for a tracker.

    Attributes:
        project: The project or experiment that it belongs to.
        name: The run's name.
        config: What is the same for all its rounds.
        steps: Metrics by round number.
        times: When each round began, in seconds since 1970.
    """

    project: str
    name: str
    config: Mapping[str, str]
    steps: Mapping[int, Mapping[str, float]]
    times: Mapping[int, int]


def tracked_run(lab: RecordedLab, run: Run, project: str) -> TrackedRun:
    """Return a run's finished rounds as steps.

    Args:
        lab: Its rounds as recorded.
        run: The run.
        project: The tracker's project; characters that trackers do not take become `-`.
    """
    rounds = [each for each in lab.rounds if each.finished and each.row.run == run.name]
    config = {
        "environment": run.env_name,
        "environment_id": run.env_id,
        "base": run.base,
        "created": run.created,
        "autoqec": __version__,
    }
    return TrackedRun(
        project=re.sub("[^A-Za-z0-9_.-]+", "-", project).strip("-.") or "autoqec",
        name=run.name,
        config=config,
        steps={each.row.round: dict(_numbers(each)) for each in rounds},
        times={each.row.round: each.record.time for each in rounds},
    )


def _numbers(found: RecordedRound) -> Iterator[tuple[str, float]]:
    verdict, metrics, row = found.results.verdict, found.results.metrics, found.row
    yield "verified", float(verdict is not None and verdict.verified)
    yield from _figures("holdout", verdict.figures if verdict else None)
    yield from _figures("development", metrics.figures if metrics else None)
    if metrics is not None:
        yield "cost/flops_per_shot", float(metrics.costs.flops_per_shot)
        yield "cost/params", float(metrics.costs.params)
        yield "cost/us_per_shot", float(metrics.costs.latency_us_per_shot)
    if row.best_so_far is not None and row.best_so_far.ratio is not None:
        yield "best/ler_ratio", row.best_so_far.ratio
    yield "spent/seconds", found.spent.seconds
    yield "spent/tokens", float(found.spent.tokens)
    yield "spent/dollars", found.spent.cost


def _figures(where: str, figures: Figures | None) -> Iterator[tuple[str, float]]:
    if figures is None:
        return
    yield f"{where}/shots", float(figures.shots)
    yield f"{where}/ler", figures.ler_candidate
    yield f"{where}/ler_baseline", figures.ler_baseline
    ratios = (figures.ler_ratio, *figures.ratio_interval)
    for name, value in zip(("ler_ratio", "ler_ratio_low", "ler_ratio_high"), ratios, strict=True):
        if value is not None:
            yield f"{where}/{name}", value
