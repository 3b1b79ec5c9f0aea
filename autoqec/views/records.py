"""Rounds as JSON objects: the one shape that `round`, `log`, `show` and `pareto` print, from history records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.history import RoundRecord

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
        "verdict_reason": verdict.get("reason") if verdict else None,
        "hypothesis": identity.hypothesis if identity else conflict.get("hypothesis"),
        "fork_from": parents,
        "compose": identity.compose if identity else conflict.get("compose"),
        "analysis": (record.analysis or {}).get("summary"),
        "problems": list(record.problems),
    }


def conflict_objects(record: RoundRecord) -> list[dict[str, Any]]:
    """What the parents of a failed composition disagree on: per field or file the value in base, ours and theirs."""
    found = (record.conflict or {}).get("conflicts")
    names = ("path", "field", "base", "ours", "theirs", "between")
    rows = found if isinstance(found, list) else []
    return [{name: row.get(name) for name in names} for row in rows if isinstance(row, dict)]


@dataclass(frozen=True)
class Wanted:
    """Which rounds to show. What is None is not asked about; words are compared without regard to case.

    Attributes:
        env: The environment's name.
        verdict: `VERIFIED`, `SUSPICIOUS` or `FAILED`, or `none` for rounds without one.
        status: `ok`, `train_error`, `open` and so on.
        text: Occurs in the hypothesis, the analysis, or the reason of status or verdict.
    """

    env: str | None = None
    verdict: str | None = None
    status: str | None = None
    text: str | None = None

    @property
    def everything(self) -> bool:
        """Whether every round fits."""
        return self == Wanted()

    def fits(self, item: Mapping[str, Any]) -> bool:
        """Whether a round's JSON object is one of those."""
        words = (item[name] or "" for name in ("hypothesis", "analysis", "reason", "verdict_reason"))
        return (
            self.env in (None, item["env"])
            and (self.verdict is None or self.verdict.lower() == str(item["verdict"]).lower())
            and (self.status is None or self.status.lower() == str(item["status"]).lower())
            and (self.text is None or self.text.casefold() in "\n".join(map(str, words)).casefold())
        )
