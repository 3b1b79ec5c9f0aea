"""The front as JSON objects: VERIFIED rounds that no other surely beats, and an error where git cannot vouch for one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.history import Ledger, require_kept
from autoqec.scoring.front import Point, front
from autoqec.views.lines import Line, RunLines


def front_objects(ledger: Ledger, runs: Sequence[RunLines], env: str | None = None) -> list[dict[str, Any]]:
    """The front of the VERIFIED rounds, one environment after another, each with `dominates` and `confirmed`.

    A round's gain on the front is the verdict's, from shots nobody had seen, not the development metric. One whose figures are
    above the limits its verdict names is on no front, whatever the verifier said: `over_limits` tells which.

    Args:
        ledger: The lab.
        runs: The rounds to choose from.
        env: Only rounds of this environment.

    Raises:
        AutoQECError: A round that is VERIFIED, and may belong on the front, is gone or cannot be read; names the ref.
    """
    lines: dict[str, tuple[RunLines, Line]] = {}
    points: dict[str, list[Point]] = {}
    for run in runs:
        if run.strays:
            raise AutoQECError(
                f"refs/notes/autoqec/{run.run}/verdict calls {run.strays[0]} VERIFIED, which no branch, archive or claim"
                f" of {run.run} names, so the front would have a gap",
                mend=f"git fetch <remote> 'refs/heads/exp/{run.run}/*:refs/heads/exp/{run.run}/*', or git branch"
                f" exp/{run.run}/<N> {run.strays[0][:10]}",
            )
        for line in run.lines:
            if line.verified and not line.over and (env is None or line.env in (None, env)):
                point = _point(ledger, run.run, line)
                points.setdefault(f"{line.env}@{line.env_id}", []).append(point)
                lines[point.name] = run, line
    found = []
    for name in sorted(points):
        for member in front(points[name]):
            run, line = lines[member.point.name]
            require_kept(ledger, run.run, line.number, str(line.commit))
            more = {"dominates": list(member.dominates), "confirmed": member.confirmed}
            found.append(json.loads(line.text) | more)
    return found


def over_limits(runs: Sequence[RunLines], env: str | None = None) -> list[str]:
    """A sentence about each round that is VERIFIED and above a limit of its environment."""
    return [
        f"{run.run}/{line.number} is VERIFIED and not on the front: {line.over}"
        for run in runs
        for line in run.lines
        if line.over and env in (None, line.env)
    ]


def _point(ledger: Ledger, run: str, line: Line) -> Point:
    branch = f"exp/{run}/{line.number}"
    if line.env is None:  # its commit is gone or is no round's; either way nobody can say what it was VERIFIED on
        require_kept(ledger, run, line.number, str(line.commit))
        problems = "; ".join(json.loads(line.text)["problems"])
        raise AutoQECError(
            f"refs/heads/{branch} is VERIFIED and cannot be read: {problems}", mend=f"autoqec show {branch}"
        )
    if line.figures is None:
        raise AutoQECError(
            f"refs/heads/{branch} is VERIFIED, but its notes lack the gain, its interval, FLOPs or parameters",
            mend=f"git log -1 --notes='refs/notes/autoqec/*' {branch}",
        )
    delta, low, high, flops, params = line.figures
    return Point(f"{run}/{line.number}", delta, (low, high), flops, params)
