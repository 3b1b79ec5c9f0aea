"""The record of a lab as reports, plots, reviews and published pages take it: read once from git, and typed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history import (
    DroppedRounds,
    Ledger,
    RoundRecord,
    Run,
    candidate_diff,
    find_record,
    list_dropped,
    list_runs,
    parse_round_name,
    read_candidate,
    read_history,
)
from autoqec.results.best_so_far import BestSoFar
from autoqec.results.climb_points import Climbed, ClimbPoint, climb_points
from autoqec.results.gap_share import GapShare, gap_share
from autoqec.results.lab_front import Front
from autoqec.results.note_form import are_numbers
from autoqec.results.rates_by_p import RatePoint, rates_by_p
from autoqec.results.round_results import RoundResults, read_results
from autoqec.results.round_spending import Spending
from autoqec.results.sought_found import Outcome, Seen, SoughtFound, outcome_of, sought_found
from autoqec.views.climb_rows import Climbs, find_row, read_climbs
from autoqec.views.front_json import left_out, read_fronts
from autoqec.views.log_lines import RunLines, read_lines, require_environment
from autoqec.views.round_json import Disagreement, RoundRow, disagreements

if TYPE_CHECKING:
    from autoqec.agents.calls import Call

#: How many digits of an identity tell environments of one name apart.
_DIGITS = 10

#: The name of the environment of rounds of which no record says it.
_UNKNOWN = "unknown"

#: Three hundred years in seconds: no note of a round says more, nor of dollars.
_MOST = 1e10

#: The name and identity of an environment.
_Place = tuple[str, str | None]


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

    @property
    def trust(self) -> str | None:
        """What its verdict is worth, in words; None if it has none."""
        return self.record.trust.in_words if self.record.trust else None

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.record.claim is not None and self.record.claim.state == "closed"

    @property
    def outcome(self) -> Outcome:
        """How it came out."""
        return outcome_of(self.record.status, self.results, void=self.record.trust is not None)

    @cached_property
    def calls(self) -> tuple[Call, ...] | str:
        """The calls to agents, without their texts; or what is damaged in its trace."""
        from autoqec.loop.tracing import read_calls

        try:
            found = tuple(read_calls(self._ledger, self.row.run, self.row.round, texts=False))
            numbers: list[Any] = [value for call in found for value in (call.seconds, call.tokens, call.cost or 0.0)]
        except AutoQECError as error:
            return error.problem
        except (TypeError, AttributeError):  # anybody can write a trace
            numbers = [None]
        return (
            found
            if are_numbers(numbers)
            else f"refs/autoqec/traces/{self.name}: a call has seconds, tokens or a cost that is no number"
        )

    @cached_property
    def spent(self) -> Spending:
        """What it took."""
        return _spent(self)

    @property
    def share(self) -> GapShare | None:
        """The share of the gap to a stronger decoder that it closes, if its verdict says so."""
        return gap_share(self.name, self.results.verdict)

    @cached_property
    def rates(self) -> tuple[RatePoint, ...]:
        """Its rates by p, with intervals."""
        return tuple(rates_by_p(self.results))

    @property
    def target_rates(self) -> RatePoint | None:
        """The rates on the shots of its verdict's target; None without a verdict that has them."""
        return next((each for each in self.rates if each.source == "target"), None)

    @property
    def conflicts(self) -> Sequence[Disagreement]:
        """The conflicts between the parents of a failed composition."""
        return disagreements(self.record)


@dataclass(frozen=True)
class RecordedEnvironment:
    """The rounds on one environment.

    Attributes:
        name, env_id: The environment's name and identity; the identity is None if no record of it is here.
        rounds: Oldest first, open and failed ones too.
        front: Of these rounds.
        best: The best VERIFIED one of these rounds; None without one. That of the whole lab is in the rounds' rows.
        steps: The best of these rounds up to each of them, by `run/number`.
        left_out: A sentence about each VERIFIED round that is on no front, and why there is no front where it cannot be read.
        files: The environment's files by path, as they were when the first of these runs began.
    """

    name: str
    env_id: str | None
    rounds: tuple[RecordedRound, ...]
    front: Front
    best: BestSoFar | None
    steps: Mapping[str, BestSoFar | None] = field(repr=False)
    left_out: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """`name@identity`, with as many digits as tell environments apart."""
        return self.name if self.env_id is None else f"{self.name}@{self.env_id[:_DIGITS]}"

    @property
    def text(self) -> str:
        """Its file, as it was when the first of these runs began; empty if no record of a run is here."""
        from autoqec.problem.environment import ENVIRONMENT_FILE  # readers of a single round do without

        return self.files.get(ENVIRONMENT_FILE, b"").decode("utf-8", "replace")

    @cached_property
    def climb(self) -> tuple[ClimbPoint, ...]:
        """The best of these rounds so far after each of them, against what they took."""
        return tuple(
            climb_points(
                Climbed(each.name, each.finished, each.spent, self.steps.get(each.name)) for each in self.rounds
            )
        )

    @cached_property
    def found(self) -> SoughtFound:
        """What its rounds looked for, and what they found."""
        seen = [Seen(each.name, each.row.run, each.outcome, each.results, each.spent) for each in self.rounds]
        return sought_found(seen, self.best, [(each.point.name, each.point.flops) for each in self.front.members])

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
        dropped: What left the lists by `autoqec drop`, and is not among the rounds.
        title: What pages call it; None for the name of its folder, which is another one in each clone.
    """

    ledger: Ledger = field(repr=False)
    runs: tuple[Run, ...]
    environments: tuple[RecordedEnvironment, ...]
    dropped: tuple[DroppedRounds, ...] = ()
    title: str | None = None

    @property
    def name(self) -> str:
        """What pages call it."""
        return self.title or self.ledger.workdir.name

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
        AutoQECError: The refs cannot be read.
    """
    everything = read_lines(ledger)
    lines = everything if run is None else read_lines(ledger, run)
    name, _, start = (env or "").partition("@")
    require_environment(ledger, lines, name or None)
    records = {(each.run, each.number): each for each in read_history(ledger, run)}
    climbs = read_climbs(ledger, everything)
    rounds: dict[_Place, list[RecordedRound]] = {}
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
    here = climbs if run is None else read_climbs(ledger, lines)
    asked = {each.name for each in runs}
    dropped = tuple(each for each in list_dropped(ledger) if each.run in asked or (run, env) == (None, None))
    return RecordedLab(ledger, runs, tuple(_environments(ledger, lines, here, kept, runs)), dropped)


def read_round(ledger: Ledger, name: str) -> RecordedRound:
    """Read one round, `exp/<run>/<N>` or `<run>/<N>`.

    Raises:
        UsageError: That is not the name of a round.
        NotFoundError: There is no such round.
    """
    run, number = parse_round_name(name)
    record = find_record(ledger, run, number)
    return RecordedRound(find_row(ledger, run, number), record, ledger)


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
    rounds: Mapping[_Place, Sequence[RecordedRound]],
    runs: Sequence[Run],
) -> Iterator[RecordedEnvironment]:
    for (name, identity), shown in sorted(rounds.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        own = {each.row.run for each in shown}
        lines_here = [each for each in lines if each.run in own]
        names = {each.name for each in shown}
        front, damage = _front(ledger, lines_here, name, names)
        best = climbs.last.get((name, identity))
        best = best if best is not None and best.round in names else None
        steps = {each.name: climbs.by_round.get(each.name) for each in shown}
        files = next((run.env_files for run in runs if run.env_id == identity), {})
        found = tuple(shown), front, best, steps, (*damage, *left_out(lines_here, name)), files
        yield RecordedEnvironment(name, identity, *found)


def _front(
    ledger: Ledger, lines: Sequence[RunLines], env: str, shown: Collection[str]
) -> tuple[Front, tuple[str, ...]]:
    """The front of some rounds; without one, why it cannot be read: a report says that of a damaged lab, and shows the rest."""
    try:
        fronts = [each.front for each in read_fronts(ledger, lines, env)]
    except AutoQECError as error:
        return Front(), (f"there is no front: {error.problem}",)
    return next((each for each in fronts if set(each.names) & set(shown)), Front()), ()


def _spent(found: RecordedRound) -> Spending:
    claim, metrics, verdict = found.record.claim, found.results.metrics, found.results.verdict
    took = claim.seconds if claim else None
    calls = () if isinstance(found.calls, str) else found.calls
    prices = [call.cost for call in calls]
    return Spending(
        seconds=took or 0.0,
        untimed=int(took is None),
        train_seconds=_possible(metrics.costs.train_seconds if metrics else None),
        score_seconds=_possible(metrics.costs.score_seconds if metrics else None),
        verify_seconds=_possible(verdict.evidence.seconds if verdict else None),
        agent_seconds=sum(_possible(call.seconds) for call in calls),
        calls=len(calls),
        tokens=sum(call.tokens for call in calls),
        cost=sum(_possible(price) for price in prices),
        unpriced=prices.count(None),
        unread=int(isinstance(found.calls, str)),
    )


def _possible(told: float | None) -> float:
    """Seconds or dollars that a note says, if they can be; anybody can write a note, and sums must stay numbers."""
    return float(told) if told is not None and 0 <= told <= _MOST else 0.0
