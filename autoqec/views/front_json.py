"""The front as JSON objects: VERIFIED rounds that no other surely beats, and an error where git cannot vouch for one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.history import Ledger, read_notes, require_kept
from autoqec.results.counts import PairedCounts
from autoqec.results.head_to_head import FRONT_ALPHA, HEAD_TO_HEAD, Words, head_to_head_words, open_pairs, settle
from autoqec.results.pareto_front import Member, Point, front
from autoqec.views.log_lines import Line, RunLines


@dataclass(frozen=True)
class Front:
    """The front of one environment.

    Attributes:
        members: Best gain first, with what was decided head to head.
        open_pairs: Pairs of which the first costs no more, may gain as much, and neither is shown to gain more.
        lines: The run and the line of each round that is VERIFIED, by `run/number`.
    """

    members: Sequence[Member]
    open_pairs: Sequence[tuple[Point, Point]]
    lines: Mapping[str, tuple[RunLines, Line]]


def front_objects(ledger: Ledger, runs: Sequence[RunLines], env: str | None = None) -> list[dict[str, Any]]:
    """The front of the VERIFIED rounds, one environment after another, each with `dominates` and `confirmed`.

    Args:
        ledger: The lab.
        runs: The rounds to choose from.
        env: Only rounds of this environment.

    Raises:
        AutoQECError: As for `read_fronts`; and a round on the front has a commit that is gone.
    """
    found = []
    for each in read_fronts(ledger, runs, env):
        for member in each.members:
            run, line = each.lines[member.point.name]
            require_kept(ledger, run.run, line.number, str(line.commit))
            more = {"dominates": list(member.dominates), "confirmed": member.confirmed}
            found.append(json.loads(line.text) | more)
    return found


def read_fronts(ledger: Ledger, runs: Sequence[RunLines], env: str | None = None) -> list[Front]:
    """The fronts of the VERIFIED rounds, one for each environment.

    A round's gain on the front is the verdict's, from shots nobody had seen, not the development metric. One whose figures are
    above the limits its verdict names is on no front, whatever the verifier said: `over_limits` tells which.

    Args:
        ledger, runs, env: As for `front_objects`.

    Raises:
        AutoQECError: A round that is VERIFIED, and may belong on the front, cannot be read; names the ref.
    """
    lines: dict[str, tuple[RunLines, Line]] = {}
    points: dict[str, list[Point]] = {}
    for run in runs:
        if run.strays:
            raise AutoQECError(
                f"refs/notes/autoqec/{run.run}/verdict calls {run.strays[0]} VERIFIED, which no branch, archive or claim"
                f" of {run.run} names, so the front would have a gap",
                hint=f"git fetch <remote> 'refs/heads/exp/{run.run}/*:refs/heads/exp/{run.run}/*', or git branch"
                f" exp/{run.run}/<N> {run.strays[0][:10]}",
            )
        for line in run.lines:
            if line.verified and not line.over and (env is None or line.env in (None, env)):
                point = _point(ledger, run.run, line)
                points.setdefault(f"{line.env}@{line.env_id}", []).append(point)
                lines[point.name] = run, line
    found = []
    for name in sorted(points):
        members = front(points[name])
        words = _decided(ledger, members, lines)
        settled = settle(members, words)
        found.append(Front(settled, open_pairs(settled, words), lines))
    return found


def _decided(ledger: Ledger, members: Sequence[Member], lines: Mapping[str, tuple[RunLines, Line]]) -> Words:
    """What rounds of a front were decided head to head, from the notes on their commits; what is malformed is left out.

    The words are worked out from the counts that a note holds, not taken from it.

    Args:
        ledger: The lab.
        members: The front of one environment.
        lines: The run and the line of each member.
    """
    if all(member.confirmed for member in members):
        return {}
    by_commit = {str(lines[member.point.name][1].commit): member.point for member in members}
    words: dict[tuple[str, str], str] = {}
    for run in sorted({lines[member.point.name][0].run for member in members}):
        notes = read_notes(ledger, run, "verdict", strict=False, commits=sorted(by_commit))
        for commit, records in notes.items():
            for record in records:
                if record.get("event") == HEAD_TO_HEAD and record.get("rival") in by_commit:
                    with suppress(KeyError, TypeError, ValueError):
                        counts, alpha = (
                            PairedCounts.from_dict(record["counts"]),
                            min(FRONT_ALPHA, float(record["alpha"])),
                        )
                        words |= head_to_head_words(by_commit[record["rival"]], by_commit[commit], counts, alpha)
    return words


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
            f"refs/heads/{branch} is VERIFIED and cannot be read: {problems}", hint=f"autoqec show {branch}"
        )
    if line.figures is None:
        raise AutoQECError(
            f"refs/heads/{branch} is VERIFIED, but its notes lack the gain, its interval, FLOPs or parameters",
            hint=f"git log -1 --notes='refs/notes/autoqec/*' {branch}",
        )
    delta, low, high, flops, params = line.figures
    return Point(f"{run}/{line.number}", delta, (low, high), flops, params)
