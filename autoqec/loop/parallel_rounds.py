"""Runs several rounds of a run at once, each in a process of its own, and decides when the next one begins.

A round begins once the hypothesis and the candidate of the one before are in git, so each round sees what the others try. Which
rounds it sees as closed is in its claim (`autoqec.loop.round_view`). That order can be repeated: a round then begins only when
all those are closed that it saw as closed before.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any, Protocol, cast

from pydantic import ValidationError

from autoqec.agents.agent_contract import ROLES
from autoqec.errors import AutoQECError, BudgetSpentError, UsageError
from autoqec.history import Claim, RoundRecord, find_record, read_history
from autoqec.history.rounds.round_numbers import RoundNumbers
from autoqec.history.rounds.seen_rounds import Seen, seen_by
from autoqec.loop.machine_share import MachineShare, memory_share, shares
from autoqec.loop.many_rounds import came_to_something, require_a_rounds_time
from autoqec.loop.round_process import Heard, RoundProcess
from autoqec.loop.round_request import CLOSED, EVENT, FAILED, RoundRequest
from autoqec.loop.round_state import PERSON
from autoqec.loop.round_steps import STEPS
from autoqec.loop.session import Session
from autoqec.results.rungs import SCREENED_OUT
from autoqec.round_events import RoundEvent
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import failure_from, plain
from autoqec.settings_schema import Profile

#: The longest name of an agent that a hint repeats.
_LONGEST_AGENT = 200

#: Steps after which a round's candidate is in git.
_AFTER_CANDIDATE = tuple(name for name, _ in STEPS)[2:]


class WorkingRound(Protocol):
    """A round that somebody works on; see `RoundProcess`."""

    @property
    def pid(self) -> int:
        """The id of the process."""
        ...

    def stop(self) -> None:
        """Have the work end."""
        ...

    def end(self) -> str:
        """Wait until it has ended, and say how."""
        ...


#: Starts the work on a round.
Start = Callable[[RoundRequest, Heard], WorkingRound]


@dataclass(frozen=True)
class RoundFailure:
    """Why a round was not closed.

    Attributes:
        name: The round, `run/number`; empty if it was not claimed.
        error: Why.
        waits: Whether it waits for a reply from outside, which is no failure.
    """

    name: str
    error: AutoQECError
    waits: bool = False


@dataclass(frozen=True)
class Told:
    """Who is told of rounds at once.

    Attributes:
        event: Told each event, and the place of its round among those at once, from 0.
        over: Told the place of a round at which nobody works any more.
        finished: Told each closed round.
        failed: Told of each that was not closed.
    """

    event: Callable[[int, RoundEvent], None]
    over: Callable[[int], None]
    finished: Callable[[RoundRecord], None]
    failed: Callable[[RoundFailure], None]


@dataclass
class _Flying:
    """A round in flight."""

    place: int
    work: WorkingRound | None = None
    number: int | None = None
    has_candidate: bool = False
    is_settled: bool = False


@dataclass
class ParallelRounds:
    """Rounds at once; `run` runs them.

    Attributes:
        session: Where; its settings hold `patience`, and its deadline holds for all rounds.
        wanted: How many rounds to run at most.
        at_once: How many of them at once.
        told: Who is told.
        order: What each round shall see, from the run's first round on; None to have each see what is there.
        resumes: Numbers of open rounds to resume, in the place of further ones. Each has its place in the order already, so
            none waits for another one, and one that cannot go on ends no other.
        force: See `resume_round`.
        start: Starts the work on a round.
        records: The closed rounds, in the order in which they closed.
        failures: The others.
        processes: The ids of the processes that were started; a claim names its own, also one that nobody has told of yet.
        in_vain: Whether it stopped because `patience` rounds in a row came to nothing.
    """

    session: Session
    wanted: int
    at_once: int
    told: Told
    order: Sequence[Seen] | None = None
    resumes: Sequence[int] = ()
    force: bool = False
    start: Start = RoundProcess
    records: list[RoundRecord] = field(default_factory=list)
    failures: list[RoundFailure] = field(default_factory=list)
    processes: set[int] = field(default_factory=set)
    in_vain: bool = False

    def __post_init__(self) -> None:
        self._inbox: SimpleQueue[tuple[_Flying, Message | None]] = SimpleQueue()
        self._flying: list[_Flying] = []
        self._shares: tuple[MachineShare, ...] = shares(
            self.at_once, self.session.settings.jobs, memory=memory_share(self.session.settings, self.at_once)
        )
        self._begun = self._vain = 0

    def run(self) -> None:
        """Run the rounds. Those in flight are carried to their end, also where no other may begin.

        Raises:
            KeyboardInterrupt: Somebody ends this process; the rounds in flight are open then, and nobody works on them.
        """
        try:
            while self._begin() or self._flying:
                if not self._may_begin():
                    self._hear(*self._inbox.get())
        finally:
            for each in self._flying:
                if each.work is not None:
                    each.work.stop()
            for each in self._flying:
                if each.work is not None:
                    each.work.end()
        patience, left = self.session.settings["patience"], self.wanted - self._begun
        self.in_vain = bool(patience and self._vain >= patience and left and not self.failures and not self.resumes)

    def _begin(self) -> bool:
        """Begin a round if one may begin now; tells whether it has."""
        if not self._may_begin():
            return False
        try:
            if not self.resumes:
                require_a_rounds_time(self.session)
            self._require_order()
        except AutoQECError as error:
            self._fail(RoundFailure("", error))
            return False
        place = min(set(range(self.at_once)) - {each.place for each in self._flying})
        flying = _Flying(place, number=self.resumes[self._begun] if self.resumes else None)
        self._flying.append(flying)
        flying.work = self.start(self._request(place), lambda message: self._inbox.put((flying, message)))
        self.processes.add(flying.work.pid)
        self._begun += 1
        return True

    def _may_begin(self) -> bool:
        patience = self.session.settings["patience"]
        if self._begun >= self.wanted or len(self._flying) >= self.at_once:
            return False
        if self.resumes:
            return True
        if self.failures or not all(each.has_candidate for each in self._flying):
            return False
        if patience and self._vain >= patience:
            return False
        return self._missing() is None or not self._flying

    def _missing(self) -> int | None:
        """A round that is not closed here, and that the next one shall see as closed; None if there is none."""
        if self.order is None:
            return None
        return self.order[self._begun].closed.missing_from(record.number for record in self.records)

    def _require_order(self) -> None:
        missing = self._missing()
        if missing is not None:
            name = f"{self.session.run.name}/{missing}"
            raise AutoQECError(
                f"the order cannot be repeated: the next round shall see round {name} closed, and nobody works on that",
                hint=f"autoqec resume {self.session.run.name}",
                code="order_not_repeated",
            )

    def _request(self, place: int) -> RoundRequest:
        session, share = self.session, self._shares[place]
        return RoundRequest(
            lab=str(session.ledger.workdir),
            run=session.run.name,
            settings=session.settings.to_json(),
            seen=None if self.order is None else self.order[self._begun].to_details(),
            rounds_left=self.wanted - self._begun,
            seconds_left=None if session.deadline is None else session.deadline - time.monotonic(),
            processors=share.processors,
            jobs=share.jobs,
            memory=share.memory,
            resumes=self.resumes[self._begun] if self.resumes else 0,
            force=self.force,
        )

    def _hear(self, flying: _Flying, message: Message | None) -> None:
        """Take what a round's process says, or that it says no more."""
        if message is None:
            self._flying.remove(flying)
            how = flying.work.end() if flying.work is not None else ""
            self.told.over(flying.place)
            if not flying.is_settled:
                self._fail(self._died(flying, how))
            return
        said = message.fields
        if EVENT in said:
            event = cast(RoundEvent, said[EVENT])
            if event["event"] == "round":
                flying.number = event["round"]
            flying.has_candidate |= event["event"] in ("step", "skipped") and said[EVENT]["step"] in _AFTER_CANDIDATE
            self.told.event(flying.place, event)
        elif CLOSED in said:
            flying.has_candidate = flying.is_settled = True
            self._finish(said[CLOSED])
        elif FAILED in said:
            flying.has_candidate = flying.is_settled = True
            error = failure_from(Message(said[FAILED]))
            error.exit_code = int(said[FAILED]["exit_code"])
            self._fail(RoundFailure(self._name(flying), error, waits=bool(said[FAILED]["waits"])))

    def _finish(self, said: dict[str, Any]) -> None:
        own = {name: said[name] for name in ("metrics", "analysis", "verdict")}
        record = replace(find_record(self.session.ledger, self.session.run.name, said["round"]), **own)
        self.records.append(record)
        self._vain = 0 if came_to_something(record) else self._vain + (record.status != SCREENED_OUT)
        self.told.finished(record)

    def _fail(self, failure: RoundFailure) -> None:
        self.failures.append(failure)
        self.told.failed(failure)

    def _name(self, flying: _Flying) -> str:
        return "" if flying.number is None else f"{self.session.run.name}/{flying.number}"

    def _died(self, flying: _Flying, how: str) -> RoundFailure:
        name = self._name(flying)
        which = f"the process of round {name}" if name else "the process of a round"
        hint = f"autoqec resume {self.session.run.name}" if name else "autoqec status"
        return RoundFailure(name, AutoQECError(f"{which} ended with {how}", hint=hint, code="process_ended"))


def order_of(session: Session, run: str) -> tuple[Seen, ...]:
    """What each round of a run saw, from its first round on, so that another run can repeat that.

    Args:
        session: Where it shall be repeated.
        run: The run.

    Raises:
        UsageError: The run has no rounds, lacks one, or one was made with other agents, another profile or a person's idea.
    """
    claims = {record.number: record.claim for record in read_history(session.ledger, run)}
    if not claims:
        raise UsageError(f"--like {run}: the run has no rounds", hint="autoqec log")
    closed = [number for number, claim in claims.items() if claim is not None and claim.state == "closed"]
    order = []
    for number in range(1, max(claims) + 1):
        claim = claims.get(number)
        if claim is None:
            raise UsageError(f"--like {run}: round {run}/{number} is not here", hint=f"autoqec pull; autoqec log {run}")
        _require_same(session, claim)
        order.append(seen_by(claim) or Seen(RoundNumbers.of(each for each in closed if each < number)))
    return tuple(order)


def _require_same(session: Session, claim: Claim) -> None:
    """Refuse to repeat a round that the session would make in another way."""
    name = f"{claim.run}/{claim.number}"
    agents = claim.details.get("agents")
    for role in ROLES:
        theirs = agents.get(role) if isinstance(agents, dict) else None
        if theirs == PERSON:
            raise UsageError(f"--like {claim.run}: round {name} has a person's idea, which cannot be repeated")
        if theirs != session.settings[role]:
            # A claim may be a stranger's, and a hint is copied into a shell.
            usable = isinstance(theirs, str) and theirs.isprintable() and len(theirs) <= _LONGEST_AGENT
            raise UsageError(
                f"--like {claim.run}: the {role} of round {name} was {plain(theirs)}, and here it is {session.settings[role]}",
                hint=f"--{role} {shlex.quote(str(theirs))}" if usable else "choose another run",
            )
    _require_profile(session, claim)


def _require_profile(session: Session, claim: Claim) -> None:
    """Refuse to repeat a round with a profile that has other values, whatever its name is."""
    theirs, settings = _profile_told(claim.details.get("profile")), session.settings
    if theirs == settings.profile:
        return
    named = settings["profile"]
    said = f"--like {claim.run}: round {claim.run}/{claim.number} had another profile than {named}"
    if theirs is None:
        raise UsageError(f"{said}, and does not say which", hint="choose another run")
    ours = settings.profile.model_dump()
    others = {name: value for name, value in theirs.model_dump().items() if value != ours[name]}
    told = ", ".join(f"{name} {value:,} and not {ours[name]:,}" for name, value in others.items())
    same = [name for name, profile in settings.profiles.items() if profile == theirs]
    fields = ", ".join(f"{name} = {value!r}" for name, value in others.items())
    raise UsageError(
        f"{said}: {told}",
        hint=f"--profile {same[0]}" if same else f"set {fields} below [profiles.{named}] of your settings",
    )


def _profile_told(fields: object) -> Profile | None:
    """The profile that a claim names; None if it names none. Fields that came later have their built-in values."""
    try:
        return Profile.model_validate(fields)
    except ValidationError:
        return None


def exit_code_of(rounds: ParallelRounds) -> int:
    """The exit code that follows from rounds that were not closed; 0 if there are none, or they wait for a reply."""
    codes = [each.error.exit_code for each in rounds.failures if not each.waits]
    return BudgetSpentError.exit_code if BudgetSpentError.exit_code in codes else next(iter(codes), 0)
