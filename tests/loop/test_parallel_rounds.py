"""When rounds at once begin, and what becomes of them: the coordinator with stand-ins for the processes of rounds."""

import os
from dataclasses import dataclass, field, replace
from queue import SimpleQueue

import pytest

from autoqec.config import Setting, load_settings
from autoqec.errors import AutoQECError, UsageError
from autoqec.history import claim_round, close_claim
from autoqec.history.rounds.round_numbers import RoundNumbers
from autoqec.history.rounds.seen_rounds import Seen
from autoqec.loop import machine_share, parallel_rounds, serve_round
from autoqec.loop.machine_share import memory_here, memory_share, shares
from autoqec.loop.parallel_rounds import ParallelRounds, Told, exit_code_of, order_of
from autoqec.loop.round_process import RoundProcess
from autoqec.loop.round_request import RoundRequest
from autoqec.sandbox.channel import Message
from autoqec.settings_schema import BUILTIN_PROFILES


@dataclass
class Work:
    """A stand-in for the process of a round."""

    request: object
    heard: object
    number: int
    log: list

    @property
    def pid(self):
        return 1000 + self.number

    def event(self, **fields):
        self.heard(Message({"event": {"run": "r", "round": self.number, **fields}}))

    def begins(self, step="train"):
        self.event(event="round", steps=[], attempt="")
        self.event(event="step", step=step)

    def closes(self):
        self.heard(Message({"closed": {"round": self.number, "metrics": None, "analysis": None, "verdict": None}}))
        self.heard(None)

    def fails(self, **told):
        self.heard(
            Message({"failed": {"error": "no", "kind": "E", "hint": "do", "exit_code": 1, "waits": False, **told}})
        )
        self.heard(None)

    def stop(self):
        self.log.append(f"stop {self.number}")

    def end(self):
        self.log.append(f"end {self.number}")
        return "signal KILL: oh"


@dataclass
class Play:
    """Rounds at once whose processes do what a script says when one of them begins."""

    rounds: ParallelRounds
    works: list = field(default_factory=list)
    log: list = field(default_factory=list)
    verified: set = field(default_factory=set)

    def __getitem__(self, number):
        return self.works[number - 1]


@pytest.fixture
def play(with_round, monkeypatch):
    """A function that runs rounds by a script: what is done when a round begins, by its number."""
    record = with_round.records()[1]

    def run(script, wanted=3, at_once=2, order=None, settings=None, deadline=None, **more):
        values = {
            name: Setting(value, "flag") for name, value in {"patience": 0, "jobs": 4, **(settings or {})}.items()
        }
        session = replace(
            with_round, settings=replace(with_round.settings, values={**with_round.settings.values, **values})
        )
        session.deadline = deadline
        log = []

        def start(request, heard):
            work = Work(request, heard, len(made.works) + 1, log)
            made.works.append(work)
            log.append(f"begin {work.number}")
            script.get(work.number, lambda made: work.begins())(made)
            return work

        told = Told(
            lambda place, event: log.append(f"{event['event']} {place}"),
            lambda place: log.append(f"over {place}"),
            lambda record: log.append(f"closed {record.number}"),
            lambda failure: log.append(f"failed {failure.name}"),
        )
        made = Play(ParallelRounds(session, wanted, at_once, told, order, start=start, **more), log=log)
        monkeypatch.setattr(parallel_rounds, "find_record", lambda ledger, run, number: replace(record, number=number))
        monkeypatch.setattr(parallel_rounds, "came_to_something", lambda record: record.number in made.verified)
        made.rounds.run()
        return made

    return run


def begun(made):
    return [line for line in made.log if line.startswith(("begin", "closed", "failed"))]


def test_a_round_begins_once_the_candidate_of_the_one_before_is_in_git_and_there_is_a_place(play):
    def first(made):
        made[1].event(event="round", steps=[], attempt="")
        for step in ("ideate", "code"):
            made[1].event(event="step", step=step)
        made[1].event(event="step", step="train")

    def second(made):
        made[2].begins()
        made[2].closes()

    def third(made):
        made[3].begins()
        made[1].closes()
        made[3].closes()

    made = play({1: first, 2: second, 3: third})
    assert begun(made) == ["begin 1", "begin 2", "closed 2", "begin 3", "closed 1", "closed 3"]
    assert made.log.index("begin 2") > [i for i, line in enumerate(made.log) if line == "step 0"][2]
    assert [each.number for each in made.rounds.records] == [2, 1, 3], "the order in which they close"
    assert not made.rounds.failures
    assert [work.request.rounds_left for work in made.works] == [3, 2, 1]
    assert [work.request.jobs for work in made.works] == [2, 2, 2]
    assert made[3].request.processors == made[2].request.processors, "the place that was free"
    assert {work.request.seen for work in made.works} == {None}
    assert made.rounds.processes == {1001, 1002, 1003}


def at_once_over(number):
    """A script's line: the round has its candidate and closes at once."""
    return lambda made: (made[number].begins(), made[number].closes())


def test_patience_counts_all_rounds_in_the_order_in_which_they_close(play):
    over = {number: at_once_over(number) for number in range(1, 6)}
    made = play(over, wanted=5, at_once=1, settings={"patience": 2})
    assert begun(made) == ["begin 1", "closed 1", "begin 2", "closed 2"]
    assert made.rounds.in_vain

    def second(made):
        made.verified.add(1)
        made[2].begins()
        made[2].closes()
        made[1].closes()

    made = play({2: second, 3: over[3]}, wanted=3, at_once=2, settings={"patience": 1})
    assert begun(made) == ["begin 1", "begin 2", "closed 2", "closed 1", "begin 3", "closed 3"], "1 came to something"
    assert not made.rounds.in_vain, "all are done"


def test_no_round_begins_after_a_failure_and_those_in_flight_go_on(play):
    def second(made):
        made[2].begins()
        made[2].fails(exit_code=4, code="budget_spent")
        made[1].closes()

    made = play({2: second})
    assert begun(made) == ["begin 1", "begin 2", f"failed {made.rounds.session.run.name}/2", "closed 1"]
    (failure,) = made.rounds.failures
    assert (failure.error.problem, failure.error.hint, failure.error.code) == ("no", "do", "budget_spent")
    assert exit_code_of(made.rounds) == 4
    assert not made.rounds.in_vain
    waiting = play({1: lambda made: made[1].fails(waits=True)}).rounds
    assert (exit_code_of(waiting), [each.waits for each in waiting.failures]) == (0, [True])


def test_open_rounds_are_resumed_at_once_and_one_that_cannot_go_on_ends_no_other(play):
    def second(made):
        made[1].number = 4
        made[1].begins("verify")
        made[2].fails()

    def third(made):
        made[3].number = 9
        made[3].closes()
        made[1].heard(None)

    more = {"resumes": (4, 7, 9), "force": True, "settings": {"patience": 1, "max_wall": 1.0}, "deadline": 1e-9}
    made = play({1: lambda made: None, 2: second, 3: third}, **more)
    name = made.rounds.session.run.name
    assert begun(made) == ["begin 1", "begin 2", f"failed {name}/7", "begin 3", "closed 9", f"failed {name}/4"]
    assert [(work.request.resumes, work.request.force) for work in made.works] == [(4, True), (7, True), (9, True)]
    assert not made.rounds.in_vain
    assert play({1: at_once_over(1)}, wanted=1)[1].request.resumes == 0


def test_a_process_that_dies_is_named_with_its_round_and_how_to_go_on(play):
    def first(made):
        made[1].begins("ideate")
        made[1].heard(None)

    (failure,) = play({1: first}).rounds.failures
    name = failure.name
    assert failure.error.problem == f"the process of round {name} ended with signal KILL: oh"
    assert (failure.error.code, failure.error.hint) == ("process_ended", f"autoqec resume {name.partition('/')[0]}")
    (failure,) = play({1: lambda made: made[1].heard(None)}).rounds.failures
    assert (failure.name, failure.error.hint) == ("", "autoqec status"), "it was never claimed"


def test_who_ends_the_command_ends_all_rounds(play):
    log = []

    def second(made):
        log.append(made.log)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play({2: second})
    assert log[0][-2:] == ["stop 1", "end 1"]


def test_no_round_begins_without_a_rounds_time_and_each_is_told_what_is_left(play, monkeypatch):
    monkeypatch.setattr(parallel_rounds.time, "monotonic", lambda: 100.0)
    made = play({1: at_once_over(1)}, wanted=1, deadline=130.0)
    assert made[1].request.seconds_left == 30.0
    monkeypatch.setattr("autoqec.loop.session.time.monotonic", lambda: 131.0)
    made = play({}, settings={"max_wall": 130.0}, deadline=130.0)
    assert begun(made) == ["failed "]
    assert exit_code_of(made.rounds) == 4


def seen(closed, beside=""):
    return Seen(RoundNumbers.parse(closed), RoundNumbers.parse(beside))


def test_an_order_is_repeated_whoever_is_faster_this_time(play):
    """The third round shall see the first one closed, and not the second."""
    order = [seen(""), seen("", "1"), seen("1", "2"), seen("1,3", "2")]

    def second(made):
        made[2].begins()
        made[2].closes()  # sooner than the first
        made[1].closes()

    def fourth(made):
        made[4].begins()
        made[4].closes()

    made = play({2: second, 3: at_once_over(3), 4: fourth}, wanted=4, at_once=3, order=order)
    assert begun(made) == "begin 1,begin 2,closed 2,closed 1,begin 3,closed 3,begin 4,closed 4".split(",")
    assert [work.request.seen for work in made.works] == [each.to_details() for each in order]


def test_an_order_that_cannot_go_on_is_an_error_that_says_how(play):
    order = [seen(""), seen("1")]
    made = play({1: at_once_over(1)}, wanted=2, order=[seen(""), seen("1,2")])
    (failure,) = made.rounds.failures
    assert failure.error.code == "order_not_repeated"
    assert f"{made.rounds.session.run.name}/2" in failure.error.problem
    assert begun(play({1: at_once_over(1), 2: at_once_over(2)}, wanted=2, order=order))[-1] == "closed 2"


def test_the_order_of_a_run_is_what_its_claims_say(with_round):
    ledger, run = with_round.ledger, with_round.run.name
    assert order_of(with_round, run) == (seen(""), seen("1")), "the fixture's rounds came one after the other"
    details = {"agents": dict.fromkeys(("ideator", "coder", "analyst"), "scripted")}
    details["profile"] = with_round.settings.profile.model_dump()
    close_claim(ledger, claim_round(ledger, run, details | {"seen": seen("1", "2").to_details()}), status="ok")
    close_claim(ledger, claim_round(ledger, run, details), status="ok")
    assert order_of(with_round, run)[2:] == (seen("1", "2"), seen("1-3")), "of an earlier version: one after the other"


@pytest.mark.parametrize(
    ("changed", "problem", "hint"),
    [
        (
            {"agents": {"ideator": "random"}},
            "the ideator of round .*/3 was random, and here it is scripted",
            "--ideator random",
        ),
        ({"agents": {"ideator": "x; rm y"}}, "was x; rm y, and here", "--ideator 'x; rm y'"),
        ({"agents": {"ideator": "x\x1b[2J"}}, r"was x\?\[2J, and here", "choose another run"),
        ({"agents": 7, "profile": "x"}, "was None, and here", "choose another run"),
        ({"agents": {"ideator": "person"}}, "round .*/3 has a person's idea", None),
        (
            {"profile": BUILTIN_PROFILES["prod"].model_dump() | {"train_shots": 7}},
            "another profile than .*: train_shots 7 and not .*, score_shots 1,048,576 and not",
            "set train_shots = 7, ",
        ),
        ({"profile": BUILTIN_PROFILES["prod"].model_dump()}, "had another profile", "--profile prod"),
        ({"profile": {"train_shots": -1}}, "does not say which", "choose another run"),
    ],
)
def test_a_round_that_would_be_made_in_another_way_is_not_repeated(with_round, changed, problem, hint):
    details = {"agents": dict.fromkeys(("ideator", "coder", "analyst"), "scripted")}
    details |= {"profile": with_round.settings.profile.model_dump()}
    claim_round(with_round.ledger, with_round.run.name, details | changed)
    with pytest.raises(UsageError, match=problem) as refused:
        order_of(with_round, with_round.run.name)
    assert hint is None or hint in refused.value.hint


def test_an_order_with_a_missing_round_is_refused(with_round):
    run = with_round.run.name
    for kind in ("refs/heads/exp", "refs/autoqec/claims", "refs/autoqec/traces", "refs/autoqec/attempts"):
        ref = f"{kind}/{run}/1"
        if ref in with_round.ledger.repo.references:
            with_round.ledger.repo.references.delete(ref)
    with pytest.raises(UsageError, match=f"round {run}/1 is not here"):
        order_of(with_round, run)


@pytest.mark.parametrize(
    ("at_once", "jobs", "processors", "each"),
    [
        (1, 4, (0, 1), [((0, 1), 4)]),
        (2, 4, (0, 1, 2, 3), [((0, 1), 2), ((2, 3), 2)]),
        (3, 8, range(8), [((0, 1), 2), ((2, 3, 4), 3), ((5, 6, 7), 3)]),
        (3, 1, (4, 5), [((4,), 1), ((4,), 1), ((5,), 1)]),
    ],
)
def test_processors_and_jobs_are_shared_out(at_once, jobs, processors, each):
    assert [(share.processors, share.jobs) for share in shares(at_once, jobs, processors)] == each


def test_memory_is_shared_out_and_rounds_that_get_too_little_are_refused():
    settings = load_settings(None)  # 12 GiB each
    assert memory_share(settings, 1, there=2**30) is None
    assert memory_share(settings, 2, there=24 * 2**30) is None
    assert memory_share(settings, 3, there=24 * 2**30) == 8 * 2**30
    assert {each.memory for each in shares(3, 3, (0,), memory_share(settings, 3, there=24 * 2**30))} == {8 * 2**30}
    with pytest.raises(UsageError, match=r"--parallel 5: each round has 1.6 of the 8.0 GiB of memory here") as refused:
        memory_share(settings, 5, there=8 * 2**30)
    assert (refused.value.code, refused.value.hint) == ("too_little_memory", "--parallel 4")
    with pytest.raises(UsageError) as refused:
        memory_share(settings, 2, there=3 * 2**30)
    assert refused.value.hint == "one round at a time"


@pytest.mark.parametrize(
    ("train_on", "executor", "shared"),
    [("here", "command", True), ("executor", "command", False), ("executor", "local", True)],
)
def test_rounds_that_train_elsewhere_need_no_memory_here(train_on, executor, shared):
    settings = load_settings(None, {"train_on": train_on, "executor": executor})
    assert (memory_share(settings, 2, there=8 * 2**30) is not None) == shared


def test_the_process_of_a_round_limits_its_training_to_its_share(with_round, monkeypatch):
    asked, limits = [], []

    def run_round(session, *, seen):
        limits.append(session.training_memory(session.settings.profile))
        raise KeyboardInterrupt

    monkeypatch.setattr(machine_share, "memory_here", lambda: 8 * 2**30)
    monkeypatch.setattr(serve_round, "run_round", run_round)
    monkeypatch.setattr(serve_round.os, "sched_setaffinity", lambda *told: None)
    settings = load_settings(with_round.ledger.workdir, {"profile": "dev"})
    made = replace(with_round, settings=settings)

    def start(request, heard):
        asked.append(RoundRequest.from_message(request.to_message()))
        raise AutoQECError("enough")

    ignored = Told(*[lambda *told: None] * 4)
    with pytest.raises(AutoQECError, match="enough"):
        ParallelRounds(made, 2, 2, ignored, start=start).run()
    with pytest.raises(KeyboardInterrupt):
        serve_round.carry_out(asked[0], None)
    assert limits == [4 * 2**30]
    assert made.training_memory(settings.profile) == 12 * 2**30


def test_the_limit_of_a_control_group_counts_as_memory(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/slurm/job\n")
    (tmp_path / "groups/slurm/job").mkdir(parents=True)
    (tmp_path / "groups/slurm/memory.max").write_text("1048576\n")
    (tmp_path / "groups/slurm/job/memory.max").write_text("max\n")
    assert memory_here(tmp_path / "groups", own) == 1048576
    assert memory_here(tmp_path / "none", tmp_path / "none") > 1048576


def test_a_process_says_why_it_could_not_begin_and_how_it_ended(with_round):
    said = SimpleQueue()
    request = RoundRequest(
        lab=str(with_round.ledger.workdir),
        run="none",
        settings=with_round.settings.to_json(),
        seen=None,
        rounds_left=1,
        seconds_left=None,
        processors=(),
        jobs=1,
    )
    process = RoundProcess(request, said.put)
    assert "-P" in process._process.args, "nothing is imported from the lab's folder, which may be a stranger's"
    told = said.get().fields["failed"]
    assert (told["code"], told["exit_code"], told["waits"]) == ("not_found", 3, False)
    assert said.get() is None
    assert process.end() == "exit status 1"


def test_the_process_of_a_round_keeps_to_its_share_of_the_machine(with_round, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *told: asked.append(told))
    monkeypatch.setattr(serve_round, "run_round", lambda session, seen: (session.settings.jobs, session.rounds_left))
    request = RoundRequest(
        lab=str(with_round.ledger.workdir),
        run=with_round.run.name,
        settings=with_round.settings.to_json(),
        seen=None,
        rounds_left=4,
        seconds_left=None,
        processors=(3, 5),
        jobs=2,
    )
    assert serve_round.carry_out(request, None) == (2, 4)
    assert asked == [(0, (3, 5))], "for all processes that it starts, too"


def test_an_error_of_a_start_leaves_nothing_behind(play):
    def second(made):
        raise AutoQECError("no process can be started")

    with pytest.raises(AutoQECError, match="no process"):
        play({2: second})
