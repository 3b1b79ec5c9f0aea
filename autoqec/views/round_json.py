"""Rounds as JSON objects: the one shape that `round`, `log`, `show` and `pareto` print, from history records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from autoqec.errors import UsageError
from autoqec.history import RoundRecord

ROUND_SCHEMA = "autoqec.round/1"

#: What a scored stretch of shots says, on development shots and on the holdout alike.
_OUTCOME = (
    "shots",
    "ler_baseline",
    "ler_candidate",
    "delta_ler",
    "delta_ler_ci",
    "ler_ratio",
    "ler_ratio_ci",
)

_COSTS = ("flops_per_shot", "params", "latency_us_per_shot", "train_seconds", "score_seconds")

METRICS = (*_OUTCOME, *_COSTS)

_HOLDOUT = (*_OUTCOME, "flops_per_shot", "params", "references", "constraints")

_WORDS = ("VERIFIED", "SUSPICIOUS", "FAILED")

#: How rounds end, and what those are called that have not: what `autoqec log --status` takes, beside what history holds.
STATUSES = (
    "ok",
    "train_error",
    "compile_error",
    "killed_by_safety",
    "agent_error",
    "compose_conflict",
    "abandoned",
    "open",
    "interrupted",
    "waiting",
    "unknown",
)

#: What must be a number for the figures of a note to be shown at all.
_FIGURES = ("shots", "ler_baseline", "ler_candidate", "delta_ler")


def _chosen(record: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: record.get(name) for name in names}


def _are_numbers(values: Iterable[Any]) -> bool:
    # By type, for that is what JSON gives, and a bool is no number.
    return all(type(value) in (int, float) and isfinite(value) for value in values)


def _has_figures(note: Mapping[str, Any]) -> bool:
    figures = [note.get(name) for name in _FIGURES]
    for ends in (note.get("delta_ler_ci"), note.get("ler_ratio_ci")):
        if not isinstance(ends, list) or len(ends) != 2:
            return False
        figures += [end for end in ends if end is not None]
    return _are_numbers(figures)


def rates_beside(note: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Figures of a metrics note at the environment's other physical error rates, in order, each with its `p`."""
    rows = note.get("other_rates")
    found = (
        [row for row in rows if isinstance(row, dict) and _are_numbers([row.get("p")])]
        if isinstance(rows, list)
        else []
    )
    return sorted((row for row in found if _has_figures(row)), key=lambda row: row["p"])


def _metrics_are_whole(note: Mapping[str, Any]) -> bool:
    return _has_figures(note) and _are_numbers(map(note.get, _COSTS))


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
        "reason": _reason(record),
        "code": (record.claim.code or None) if record.claim else None,
        "verdict": verdict.get("verdict") if verdict else None,
        "metrics": _chosen(metrics, METRICS) if metrics else None,
        "references": (metrics or {}).get("references"),
        "holdout": _chosen(verdict, _HOLDOUT) if verdict and "ler_candidate" in verdict else None,
        "composition": ((verdict or {}).get("compose") or {}).get("composition"),
        "verdict_reason": verdict.get("reason") if verdict else None,
        "renumbered_from": _renumbered(record),
        "hypothesis": identity.hypothesis if identity else conflict.get("hypothesis"),
        "fork_from": parents,
        "compose": identity.compose if identity else conflict.get("compose"),
        "analysis": (analysis or {}).get("summary"),
        "problems": [*record.problems, *problems],
    }


def _reason(record: RoundRecord) -> str | None:
    """Why a round ended as it did, or whom it waits for."""
    if record.claim is None:
        return None
    return f"for the {record.claim.waiting}" if record.claim.waiting else record.claim.reason


def _renumbered(record: RoundRecord) -> int | None:
    """The number that a round had before a remote gave it to another, which its commit still says."""
    first = record.claim.first_number if record.claim else record.number
    return None if first == record.number else first


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

    def require_status(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Check that the status is one that a round can have, or that one of these has.

        Raises:
            UsageError: It is not; names those there are.
        """
        known = dict.fromkeys([*STATUSES, *(item["status"] for item in items)])
        if self.status is not None and self.status.lower() not in map(str.lower, known):
            raise UsageError(
                f"no round ends as {self.status!r}; there are {', '.join(known)}", hint="autoqec log --status ok"
            )

    def fits(self, item: Mapping[str, Any]) -> bool:
        """Whether a round's JSON object is one of those."""
        words = (item[name] or "" for name in ("hypothesis", "analysis", "reason", "verdict_reason"))
        return (
            self.env in (None, item["env"])
            and (self.verdict is None or self.verdict.lower() == str(item["verdict"]).lower())
            and (self.status is None or self.status.lower() == str(item["status"]).lower())
            and (self.text is None or self.text.casefold() in "\n".join(map(str, words)).casefold())
        )
