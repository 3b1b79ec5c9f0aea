"""Rounds as JSON objects: the one shape that `round`, `log`, `show` and `pareto` print, from history records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autoqec.history import RoundRecord
from autoqec.scoring.front import Point, front

ROUND_SCHEMA = "autoqec.round/1"

METRICS = (
    "shots",
    "ler_baseline",
    "ler_candidate",
    "delta_ler",
    "delta_ler_ci",
    "ler_ratio",
    "ler_ratio_ci",
    "flops_per_shot",
    "params",
    "latency_us_per_shot",
    "train_seconds",
    "score_seconds",
)

_HOLDOUT = (
    "shots",
    "ler_baseline",
    "ler_candidate",
    "delta_ler",
    "delta_ler_ci",
    "ler_ratio",
    "ler_ratio_ci",
    "references",
)


def _chosen(record: Mapping[str, Any] | None, names: Iterable[str]) -> dict[str, Any] | None:
    return None if record is None else {name: record.get(name) for name in names}


def round_object(record: RoundRecord, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A round as a JSON object.

    Args:
        record: The round.
        names: `run/number` of commits, to show parents by name; others keep their oid.
    """
    identity, verdict, conflict = record.identity, record.verdict, record.conflict or {}
    parents = (
        [(names or {}).get(oid, oid) for oid in identity.fork_from] if identity else list(conflict.get("fork_from", []))
    )
    return {
        "schema": ROUND_SCHEMA,
        "run": record.run,
        "round": record.number,
        "branch": record.branch,
        "commit": record.commit,
        "env": identity.env.split("@")[0] if identity else None,
        "status": record.status,
        "reason": record.claim.reason if record.claim else None,
        "verdict": verdict.get("verdict") if verdict else None,
        "metrics": _chosen(record.metrics, METRICS) if record.metrics else None,
        "references": (record.metrics or {}).get("references"),
        "holdout": _chosen(verdict, _HOLDOUT) if verdict else None,
        "composition": ((verdict or {}).get("compose") or {}).get("composition"),
        "verdict_reason": verdict.get("reason") if verdict else None,
        "hypothesis": identity.hypothesis if identity else conflict.get("hypothesis"),
        "fork_from": parents,
        "compose": identity.compose if identity else conflict.get("compose"),
        "analysis": (record.analysis or {}).get("summary"),
        "problems": list(record.problems),
    }


def round_objects(records: Iterable[RoundRecord]) -> list[dict[str, Any]]:
    """Rounds as JSON objects, parents by name."""
    records = list(records)
    names = {record.commit: f"{record.run}/{record.number}" for record in records if record.commit}
    return [round_object(record, names) for record in records]


def front_objects(records: Iterable[RoundRecord]) -> list[dict[str, Any]]:
    """The front of the VERIFIED rounds, one environment after another, each with `dominates`.

    A round's gain on the front is the verdict's, from shots nobody had seen, not the development metric.
    """
    by_name = {f"{item['run']}/{item['round']}": item for item in round_objects(records)}
    points: dict[str, list[Point]] = {}
    for name, item in by_name.items():
        holdout, metrics = item["holdout"], item["metrics"]
        if item["verdict"] == "VERIFIED" and holdout and metrics:
            low, high = holdout["delta_ler_ci"]
            point = Point(name, holdout["delta_ler"], (low, high), metrics["flops_per_shot"], metrics["params"])
            points.setdefault(str(item["env"]), []).append(point)
    return [
        {**by_name[point.name], "dominates": list(beaten)}
        for env in sorted(points)
        for point, beaten in front(points[env])
    ]
