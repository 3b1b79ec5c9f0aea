"""The best VERIFIED round so far, beside each round that `log`, `pareto` and `show` print."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autoqec.errors import NotFoundError
from autoqec.history import Ledger, find_record
from autoqec.views.log_lines import Line, RunLines, head_to_heads_of, read_lines

if TYPE_CHECKING:  # lines from the cache are printed as they are, and records take a while to define
    from autoqec.results.best_so_far import Attempt, BestSoFar
    from autoqec.results.head_to_head import HeadToHead
    from autoqec.views.round_json import RoundRow


@dataclass(frozen=True)
class Climbs:
    """The climbs of all environments of a lab.

    Attributes:
        by_round: The best round up to each round, by `run/number`.
        last: The best round of all, by the environment's name and identity.
    """

    by_round: Mapping[str, BestSoFar | None]
    last: Mapping[tuple[str, str | None], BestSoFar]

    def of(self, row: RoundRow) -> RoundRow:
        """A row with the best round up to it."""
        return replace(row, best_so_far=self.by_round.get(f"{row.run}/{row.round}"))

    def line(self, run: str, line: Line) -> str:
        """A round's JSON line with the best round up to it: it is added to the text, since parsing 5,000 rounds takes time."""
        best = self.by_round.get(f"{run}/{line.number}")
        return f'{line.text[:-1]}, "best_so_far": {json.dumps(best.to_json() if best else None)}}}'

    def ends(self, rows: Iterable[RoundRow]) -> list[tuple[str, BestSoFar]]:
        """The best round of each environment that some rows are about, with the environment's name."""
        asked = dict.fromkeys((row.env, row.env_id) for row in rows if row.env)
        return [(str(env), self.last[env, key]) for env, key in asked if env and (env, key) in self.last]


def read_climbs(ledger: Ledger, runs: Sequence[RunLines]) -> Climbs:
    """The climbs of all environments.

    Args:
        ledger: The lab.
        runs: All its runs, oldest first.
    """
    from autoqec.results.best_so_far import climb

    attempts: dict[tuple[str, str | None], list[Attempt]] = {}
    runs_of = {str(line.commit): run.run for run in runs for line in run.lines}
    for run in runs:
        known = [(line.env, line.env_id) for line in run.lines if line.env is not None]
        for line in run.lines if known else ():  # a round that ended without a commit is on its run's environment too
            env = known[0] if line.env is None else (line.env, line.env_id)
            attempts.setdefault(env, []).append(_attempt(run.run, line))

    def decided(commits: Collection[str]) -> Mapping[str, Sequence[HeadToHead]]:
        return head_to_heads_of(ledger, {runs_of[commit] for commit in commits}, commits)

    steps = {env: climb(tried, decided) for env, tried in attempts.items()}
    by_round = {
        each.name: best for env, tried in attempts.items() for each, best in zip(tried, steps[env], strict=True)
    }
    return Climbs(by_round, {env: best for env, found in steps.items() if (best := found[-1]) is not None})


def _attempt(run: str, line: Line) -> Attempt:
    from autoqec.results.best_so_far import Attempt

    name, commit = f"{run}/{line.number}", str(line.commit)
    if line.ratio is None or line.over or not line.verified:
        return Attempt(name, commit, line.finished)
    ratio, low, high = line.ratio
    return Attempt(name, commit, line.finished, ratio, (low, high))


def find_row(ledger: Ledger, run: str, number: int) -> RoundRow:
    """One round's row, as `log --json` prints it.

    Raises:
        NotFoundError: There is no such round.
    """
    find_record(ledger, run, number)  # raises, and says what there is
    everything = read_lines(ledger)
    lines = (line for each in everything if each.run == run for line in each.lines if line.number == number)
    found = next(lines, None)
    if found is None:  # it left the lists since the record was read
        raise NotFoundError(f"exp/{run}/{number} is gone", hint="autoqec log")
    return read_climbs(ledger, everything).of(found.row)
