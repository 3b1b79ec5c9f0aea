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
    "flops_per_shot",
    "params",
    "references",
)

_WORDS = ("VERIFIED", "SUSPICIOUS", "FAILED")

#: What must be a number for the figures of a note to be shown at all.
_FIGURES = ("shots", "ler_baseline", "ler_candidate", "delta_ler")


def _chosen(record: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: record.get(name) for name in names}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_figures(note: Mapping[str, Any]) -> bool:
    intervals = [note.get(name) for name in ("delta_ler_ci", "ler_ratio_ci")]
    return all(_number(note.get(name)) for name in _FIGURES) and all(
        isinstance(ends, list) and len(ends) == 2 and all(end is None or _number(end) for end in ends)
        for ends in intervals
    )


def _metrics_are_whole(note: Mapping[str, Any]) -> bool:
    return _has_figures(note) and all(_number(note.get(name)) for name in METRICS[7:])


def _verdict_is_whole(note: Mapping[str, Any]) -> bool:
    if note.get("verdict") not in _WORDS or not isinstance(note.get("reason"), str):
        return False
    return _has_figures(note) if note["verdict"] == "VERIFIED" else "ler_candidate" not in note or _has_figures(note)


def _analysis_is_whole(note: Mapping[str, Any]) -> bool:
    return isinstance(note.get("summary"), str) and note.get("decision") in ("candidate", "ignore")


_WHOLE = {"metrics": _metrics_are_whole, "verdict": _verdict_is_whole, "analysis": _analysis_is_whole}


def whole_notes(record: RoundRecord) -> tuple[dict[str, Mapping[str, Any] | None], list[str]]:
    """A round's notes that have the shape such notes have, and a sentence about each that has not.

    Anyone with git can write a note; a malformed one is not shown as a result.
    """
    notes: dict[str, Mapping[str, Any] | None] = {}
    problems: list[str] = []
    for kind, is_whole in _WHOLE.items():
        note = getattr(record, kind)
        notes[kind] = note if note is not None and is_whole(note) else None
        if note is not None and notes[kind] is None:
            problems.append(f"the {kind} note {note.get('id')} is not of the form such notes have, and is ignored")
    return notes, problems


def round_object(record: RoundRecord, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A round as a JSON object.

    Args:
        record: The round.
        names: `run/number` of commits, to show parents by name; others keep their oid.
    """
    identity, conflict = record.identity, record.conflict or {}
    notes, problems = whole_notes(record)
    metrics, verdict, analysis = notes["metrics"], notes["verdict"], notes["analysis"]
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
        "env_id": identity.env.rpartition(":")[2] if identity else None,
        "status": record.status,
        "reason": record.claim.reason if record.claim else None,
        "verdict": verdict.get("verdict") if verdict else None,
        "metrics": _chosen(metrics, METRICS) if metrics else None,
        "references": (metrics or {}).get("references"),
        "holdout": _chosen(verdict, _HOLDOUT) if verdict and _has_figures(verdict) else None,
        "composition": ((verdict or {}).get("compose") or {}).get("composition"),
        "verdict_reason": verdict.get("reason") if verdict else None,
        "hypothesis": identity.hypothesis if identity else conflict.get("hypothesis"),
        "fork_from": parents,
        "compose": identity.compose if identity else conflict.get("compose"),
        "analysis": (analysis or {}).get("summary"),
        "problems": [*record.problems, *problems],
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
            # Costs as the verifier counted them, where it says; the training process said the metrics'.
            flops, params = (holdout[c] if _number(holdout[c]) else metrics[c] for c in ("flops_per_shot", "params"))
            point = Point(name, holdout["delta_ler"], (low, high), flops, params)
            points.setdefault(f"{item['env']}@{item['env_id']}", []).append(point)
    return [
        {**by_name[point.name], "dominates": list(beaten)}
        for env in sorted(points)
        for point, beaten in front(points[env])
    ]
