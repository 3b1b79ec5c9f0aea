"""Building contexts from git: past rounds with their files and results, and merges that are known to conflict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autoqec.agents.agent_contract import PastRound
from autoqec.errors import AutoQECError
from autoqec.history import RoundRecord
from autoqec.history.rounds.seen_rounds import seen_by
from autoqec.results.round_results import read_results
from autoqec.results.verdict import Verdict


def past_round(
    record: RoundRecord, names: Mapping[str, str], read_files: Callable[[str], Mapping[str, bytes]]
) -> PastRound:
    """A round as agents see it, closed or not.

    Args:
        record: Its record.
        names: Rounds by commit.
        read_files: The candidate's files at a commit.
    """
    identity, results = record.identity, read_results(record)
    analysis, verdict = results.analysis, results.verdict
    files = read_files(record.commit) if record.commit else {}
    # A round without a commit has no trailers; a conflict report then holds what the trailers would have.
    report = record.conflict or {}
    return PastRound(
        name=f"{record.run}/{record.number}",
        status=record.status,
        reason=record.claim.reason if record.claim else None,
        fork_from=tuple(names[oid] for oid in identity.fork_from if oid in names)
        if identity
        else _names(report.get("fork_from")),
        compose=identity.compose if identity else str(report.get("compose", "none")),
        hypothesis=identity.hypothesis if identity else str(report.get("hypothesis", "")),
        files={path: data.decode("utf-8", "replace") for path, data in files.items()},
        metrics=results.metrics,
        decision=analysis.decision if analysis else None,
        summary=analysis.summary if analysis else "",
        next_seed=analysis.next_seed if analysis else "",
        **_judged(verdict),
        seconds=record.claim.seconds if record.claim else None,
        code=record.claim.code if record.claim else "",
        about=record.claim.about if record.claim else {},
        beside=_beside(record),
        screen="only" if results.metrics and results.metrics.rung and results.metrics.rung.alone else "auto",
    )


#: Rounds that can have been open at once, far more than a machine runs.
_MOST_BESIDE = 1024


def _beside(record: RoundRecord) -> tuple[str, ...]:
    """The rounds that its claim says were open when it began."""
    try:
        seen = seen_by(record.claim) if record.claim else None
    except AutoQECError:
        return ()  # `autoqec fsck` names it
    if seen is None:
        return ()
    numbers = range(max(1, record.number - _MOST_BESIDE), record.number)
    beside = [number for number in numbers if number in seen.open or number in seen.ideas]
    return tuple(f"{record.run}/{number}" for number in beside)


def _judged(verdict: Verdict | None) -> dict[str, Any]:
    """What agents are told of a verdict: of one on a finite holdout, whether it is VERIFIED, and nothing else.

    The next look is at the same shots, and its level allows for one bit from each earlier look (`look_alpha`).
    """
    if verdict is None:
        return {}
    if verdict.is_finite:
        return {"verdict": "VERIFIED" if verdict.verified else "FAILED"}
    return {
        "verdict": verdict.verdict,
        "verdict_reason": verdict.reason,
        "holdout": verdict.holdout,
        "share_of_gap": verdict.evidence.share_of_gap,
    }


def _names(value: Any) -> tuple[str, ...]:
    """The rounds a report names; a damaged one names none."""
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def past_rounds(
    records: Iterable[RoundRecord], read_files: Callable[[str], Mapping[str, bytes]]
) -> tuple[PastRound, ...]:
    """Closed rounds as agents see them.

    Args:
        records: Records of one environment, oldest first.
        read_files: The candidate's files at a commit.
    """
    closed = [record for record in records if record.claim is not None and record.claim.state == "closed"]
    names = {record.commit: f"{record.run}/{record.number}" for record in closed if record.commit}
    return tuple(past_round(record, names, read_files) for record in closed)


def failed_composes(past: Iterable[PastRound]) -> tuple[tuple[str, ...], ...]:
    """Sets of rounds whose merge conflicted."""
    return tuple(sorted({tuple(sorted(r.fork_from)) for r in past if r.status == "compose_conflict"}))
