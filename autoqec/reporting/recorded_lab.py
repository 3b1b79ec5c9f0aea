"""The record of a lab as reports, plots, reviews and published pages take it: read once from git, and typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from autoqec.errors import NotFoundError, UsageError
from autoqec.history import (
    Ledger,
    RoundRecord,
    Run,
    candidate_diff,
    find_record,
    list_runs,
    parse_round_name,
    read_candidate,
    read_history,
)
from autoqec.results.best_so_far import BestSoFar
from autoqec.results.lab_front import Front
from autoqec.results.round_results import RoundResults, read_results
from autoqec.views.climb_rows import Climbs, read_climbs
from autoqec.views.front_json import left_out, read_fronts
from autoqec.views.log_lines import RunLines, read_lines, require_environment
from autoqec.views.round_json import RoundRow

#: How many digits of an identity tell environments of one name apart.
_DIGITS = 10

#: The name of the environment of rounds of which no record says it.
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class RecordedRound:
    """A round as it is reported.

    Attributes:
        row: What `autoqec log --json` prints of it, with the best round so far.
        record: All that the repository records about it.
    """

    row: RoundRow
    record: RoundRecord
    _ledger: Ledger = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """`run/number`."""
        return self.row.name

    @cached_property
    def results(self) -> RoundResults:
        """Metrics, analysis and verdict that count."""
        return read_results(self.record)

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The candidate's files by path; empty if the round has no commit."""
        return read_candidate(self._ledger, self.record.commit) if self.record.commit else {}

    @cached_property
    def diff(self) -> str | None:
        """What it changed of the candidate of its first parent, as a unified diff; None if the round has no commit."""
        if self.record.commit is None:
            return None
        parents = self.record.parents
        return candidate_diff(read_candidate(self._ledger, parents[0]) if parents else {}, self.files)


@dataclass(frozen=True)
class RecordedEnvironment:
    """The rounds on one environment.

    Attributes:
        name, env_id: The environment's name and identity; the identity is None if no record of it is here.
        rounds: Oldest first, open and failed ones too.
        front: Of these rounds.
        best: The best VERIFIED round of the lab on this environment; None before there is one.
        left_out: A sentence about each VERIFIED round that is on no front.
    """

    name: str
    env_id: str | None
    rounds: tuple[RecordedRound, ...]
    front: Front
    best: BestSoFar | None
    left_out: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, RecordedRound]:
        """Its rounds by `run/number`."""
        return {each.name: each for each in self.rounds}


@dataclass(frozen=True)
class RecordedLab:
    """A lab's rounds.

    Attributes:
        ledger: The lab.
        runs: The runs whose rounds these are, oldest first.
        environments: By name.
    """

    ledger: Ledger = field(repr=False)
    runs: tuple[Run, ...]
    environments: tuple[RecordedEnvironment, ...]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.ledger.workdir.name

    @property
    def rounds(self) -> tuple[RecordedRound, ...]:
        """All rounds: environment after environment, oldest first in each."""
        return tuple(each for environment in self.environments for each in environment.rounds)


def read_lab(ledger: Ledger, *, run: str | None = None, env: str | None = None) -> RecordedLab:
    """Read rounds with all that is reported of them.

    Args:
        ledger: The lab.
        run: Only rounds of this run.
        env: Only rounds on this environment: its name, or its name and the beginning of its identity, `name@hex`.

    Raises:
        NotFoundError: There is no such run, or no round on that environment.
        AutoQECError: The refs cannot be read, or a VERIFIED round that may belong on a front is damaged.
    """
    everything = read_lines(ledger)
    lines = everything if run is None else read_lines(ledger, run)
    name, _, start = (env or "").partition("@")
    require_environment(ledger, lines, name or None)
    records = {(each.run, each.number): each for each in read_history(ledger, run)}
    climbs = read_climbs(ledger, everything)
    rounds: dict[tuple[str, str | None], list[RecordedRound]] = {}
    for found in lines:
        for line in found.lines:
            record = records.get((found.run, line.number))
            if record is not None:  # else it came in the meantime
                place = record.environment or (line.env or _UNKNOWN, line.env_id)
                rounds.setdefault(place, []).append(RecordedRound(climbs.of(line.row), record, ledger))
    kept = {
        place: each for place, each in rounds.items() if name in ("", place[0]) and (place[1] or "").startswith(start)
    }
    if env is not None and not kept:
        known = ", ".join(f"{found}@{(identity or '')[:_DIGITS]}" for found, identity in sorted(rounds, key=str))
        raise NotFoundError(f"no round is on environment {env}; the rounds are on {known}", hint=f"--env {name}")
    shown = {each.row.run for found in kept.values() for each in found}
    runs = tuple(each for each in list_runs(ledger) if each.name in shown or (env is None and run in (None, each.name)))
    return RecordedLab(ledger, runs, tuple(_environments(ledger, lines, climbs, kept)))


def read_round(ledger: Ledger, name: str) -> RecordedRound:
    """Read one round, `exp/<run>/<N>` or `<run>/<N>`.

    Raises:
        UsageError: That is not the name of a round.
        NotFoundError: There is no such round.
    """
    run, number = parse_round_name(name)
    record = find_record(ledger, run, number)
    everything = read_lines(ledger)
    climbs = read_climbs(ledger, everything)
    for found in everything:
        for line in found.lines:
            if (found.run, line.number) == (run, number):
                return RecordedRound(climbs.of(line.row), record, ledger)
    raise NotFoundError(f"exp/{run}/{number} is gone", hint="autoqec log")


def only_environment(lab: RecordedLab) -> RecordedEnvironment:
    """The one environment of a lab, for what can show only one.

    Raises:
        UsageError: There are none or several; names them.
    """
    if len(lab.environments) == 1:
        return lab.environments[0]
    if not lab.environments:
        raise UsageError(f"{lab.name} has no rounds yet", hint="autoqec round starts a run")
    known = [f"{each.name}@{(each.env_id or '')[:_DIGITS]}" for each in lab.environments]
    raise UsageError(f"the rounds are on several environments: {', '.join(known)}", hint=f"--env {known[0]}")


def _environments(
    ledger: Ledger,
    lines: Sequence[RunLines],
    climbs: Climbs,
    rounds: Mapping[tuple[str, str | None], Sequence[RecordedRound]],
) -> list[RecordedEnvironment]:
    fronts = read_fronts(ledger, lines)
    found = []
    for (name, identity), shown in sorted(rounds.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        names = {each.name for each in shown}
        front = next((each.front for each in fronts if names & set(each.front.names)), Front())
        best = climbs.last.get((name, identity))
        found.append(RecordedEnvironment(name, identity, tuple(shown), front, best, tuple(left_out(lines, name))))
    return found
