"""The front as rows: the VERIFIED rounds that no other is shown to beat. A gap in the record is an error."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from autoqec.counted_words import counted
from autoqec.errors import AutoQECError
from autoqec.history import Ledger, require_reachable
from autoqec.results.head_to_head import HeadToHead
from autoqec.results.lab_front import Entrant, Front, front_of
from autoqec.views.log_lines import Line, RunLines, head_to_heads_of
from autoqec.views.round_json import RoundRow


@dataclass(frozen=True)
class EnvironmentFront:
    """The front of one environment, and the run and the line of each round that is VERIFIED, by `run/number`."""

    front: Front
    lines: Mapping[str, tuple[RunLines, Line]]


def front_rows(ledger: Ledger, runs: Sequence[RunLines], env: str | None = None) -> list[RoundRow]:
    """The front of the VERIFIED rounds, one environment after another, each with `dominates` and `confirmed`.

    Args:
        ledger: The lab.
        runs: The rounds to choose from.
        env: Only rounds of this environment.

    Raises:
        AutoQECError: As for `read_fronts`; and a round on the front has a commit that is gone.
    """
    return [
        each.lines[member.point.name][1].row.on_front(member.dominates, member.confirmed)
        for each in whole_fronts(ledger, runs, env)
        for member in each.front.members
    ]


def kept_fronts(ledger: Ledger, runs: Sequence[RunLines]) -> list[Front]:
    """The fronts of some runs, one for each environment, none of whose members has lost its commit.

    Raises:
        AutoQECError: As for `front_rows`.
    """
    return [each.front for each in whole_fronts(ledger, runs)]


def whole_fronts(ledger: Ledger, runs: Sequence[RunLines], env: str | None = None) -> list[EnvironmentFront]:
    """The fronts of some runs, as `read_fronts` finds them, none of whose members has lost its commit.

    Raises:
        AutoQECError: As for `front_rows`.
    """
    fronts = read_fronts(ledger, runs, env)
    for each in fronts:
        for member in each.front.members:
            run, line = each.lines[member.point.name]
            require_reachable(ledger, run.run, line.number, str(line.commit))
    return fronts


def read_fronts(ledger: Ledger, runs: Sequence[RunLines], env: str | None = None) -> list[EnvironmentFront]:
    """The fronts of the VERIFIED rounds, one for each environment; `left_out` tells which are on none.

    Args:
        ledger, runs, env: As for `front_rows`.

    Raises:
        AutoQECError: A VERIFIED round that may belong on the front cannot be read; names the ref.
    """
    lines: dict[str, tuple[RunLines, Line]] = {}
    entrants: dict[str, list[Entrant]] = {}
    for run in runs:
        for line in run.lines:
            if not line.over and (env is None or line.env in (None, env)) and (found := line.entrant(run.run)):
                _require_whole(ledger, run.run, line)
                entrants.setdefault(f"{line.env}@{line.env_id}", []).append(found)
                lines[found.name] = run, line

    def decided(commits: Collection[str]) -> dict[str, list[HeadToHead]]:
        return head_to_heads_of(ledger, {run.run for run, line in lines.values() if line.commit in commits}, commits)

    return [EnvironmentFront(front_of(entrants[name], decided), lines) for name in sorted(entrants)]


def left_out(runs: Sequence[RunLines], env: str | None = None) -> list[str]:
    """A sentence about each VERIFIED round that is on no front, and about VERIFIED commits of no round that is here."""
    found = [
        f"{run.run}/{line.number} is VERIFIED but not on the front: {'; '.join(line.over)}"
        for run in runs
        for line in run.lines
        if line.over and env in (None, line.env)
    ]
    for run in runs:
        if run.strays:
            ref = f"refs/heads/exp/{run.run}/*"
            found.append(
                f"{len(run.strays)} VERIFIED verdicts of {run.run} are about commits of no round that is here, such as"
                f" {run.strays[0][:10]}; if such rounds exist elsewhere: git fetch <remote> '{ref}:{ref}'"
            )
    return found


def _require_whole(ledger: Ledger, run: str, line: Line) -> None:
    branch = f"exp/{run}/{line.number}"
    if line.env is None:  # its commit is gone or is not a round's, so its environment is unknown
        require_reachable(ledger, run, line.number, str(line.commit))
        problems = "; ".join(line.row.problems)
        raise AutoQECError(
            f"refs/heads/{branch} is VERIFIED but cannot be read: {problems}", hint=f"autoqec show {branch}"
        )


def empty_front(runs: Sequence[RunLines], run: str | None = None, env: str | None = None) -> str:
    """Say that no round is on a front, and how many rounds were looked at.

    Args:
        runs: The runs.
        run, env: The run and the environment that they were limited to.
    """
    rounds = sum(env in (None, line.env) for found in runs for line in found.lines)
    where = ("" if run is None else f" of {run}") + ("" if env is None else f" on {env}")
    if not rounds:
        return f"The front is empty: there are no rounds{where} yet."
    return f"The front is empty: of {counted(rounds, 'round')}{where} none is VERIFIED."
