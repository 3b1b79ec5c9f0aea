"""Agents in rounds: what they said is kept before it is used, budgets hold, and their words stay words."""

import fcntl
import json
import subprocess
import time
from dataclasses import replace

import pytest

from autoqec.agents.agent_contract import AgentUnavailable, Estimate, Reply, ReplyAwaited, Usage
from autoqec.agents.tape import Recorder, Tape
from autoqec.errors import BudgetSpentError, UsageError
from autoqec.history import read_attachment, read_claim
from autoqec.loop import round_probe, tracing
from autoqec.loop import round_steps as steps
from autoqec.loop.agent_contexts import build_context
from autoqec.loop.dry_run import plan_round
from autoqec.loop.many_rounds import run_rounds
from autoqec.loop.one_round import resume_round, run_round
from autoqec.loop.round_probe import measure_round
from autoqec.loop.session import make_agent
from autoqec.loop.tracing import read_calls, run_calls
from autoqec.testing import ScriptedAgent

SECRET = "the-key-of-this-house-123"
IDEA = {"text": "an idea"}
#: A candidate that is written and cannot be trained, so that a round is over in a blink.
STILLBORN = {"files": {"stages/a/stage.yaml": "kind: no_such_kind\n"}}


class Counting(ScriptedAgent):
    """A scripted agent whose calls take tokens and money."""

    def __init__(self, replies, cost=0.25):
        super().__init__(replies)
        self.cost = cost

    def estimate(self, role, context):
        return Estimate(100, 150, self.cost)

    def reply(self, role, context, report):
        report({"tokens": 5})
        said = super().reply(role, context, report)
        return Reply(said, model="m-1", prompt=f"prompt with {SECRET}", text="raw", usage=Usage(90, 10), cost=self.cost)


@pytest.fixture
def killed(monkeypatch):
    """A function that makes the process die, as far as a test can, whenever a step of the loop is about to be done."""

    def before(name):
        def die(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(steps, name, die)

    return before


def test_a_reply_is_in_git_before_it_is_used_and_is_never_paid_twice(session, killed, monkeypatch):
    agent = Counting({"ideator": [IDEA], "coder": [{"files": {}}, STILLBORN]})
    made = session(agent)
    killed("save_message")
    with pytest.raises(KeyboardInterrupt):
        run_round(made)
    claim = read_claim(made.ledger, made.run.name, 1)
    assert [(call.role, call.reply.message) for call in read_calls(made.ledger, claim.run, 1)] == [("ideator", IDEA)]
    monkeypatch.undo()
    record = resume_round(made, claim)
    assert [role for role, _ in agent.seen] == ["ideator", "coder", "coder"]
    assert (record.status, "no_such_kind" in record.claim.reason) == ("agent_error", True)
    assert record.conflict["hypothesis"] == "an idea"


def test_the_trace_holds_prompts_and_replies_in_full_and_no_secret(session, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    made = session(Counting({"ideator": [IDEA | {"rationale": SECRET}], "coder": [{}, {}]}))
    run_round(made)
    files = read_attachment(made.ledger, "traces", made.run.name, 1)
    assert {"calls/ideator-1.begun.json", "calls/ideator-1.json", "calls/ideator-1.prompt.txt", "calls/ideator-1.reply.txt",
            "calls/coder-2.json", "ideator.json"} <= files.keys()  # fmt: skip
    assert files["calls/ideator-1.prompt.txt"] == b"prompt with [secret]"
    assert all(SECRET.encode() not in data for data in files.values())
    told = json.loads(files["calls/coder-1.json"])
    assert told["reply"]["usage"]["input_tokens"] == 90
    assert [event for event in made.events if event["event"] == "spent"][-1]["tokens"] == 300
    assert {"event": "agent", "run": made.run.name, "round": 1, "tokens": 5} in made.events


@pytest.mark.parametrize("limits", [{"max_tokens": 260}, {"max_cost": 0.6}])
def test_a_budget_stops_before_a_call_and_a_larger_one_goes_on(session, limits):
    agent = Counting({"ideator": [IDEA], "coder": [{}, STILLBORN]})
    made = session(agent, **limits)
    with pytest.raises(BudgetSpentError, match=f"run {made.run.name} has spent"):
        run_round(made)
    asked = len(agent.seen)
    assert asked == 2
    with pytest.raises(BudgetSpentError):  # it does not help to try again
        resume_round(made, read_claim(made.ledger, made.run.name, 1))
    assert len(agent.seen) == asked
    made.settings.values.update({name: type(made.settings.values[name])(0, "flag") for name in limits})
    assert resume_round(made, read_claim(made.ledger, made.run.name, 1)).status == "agent_error"
    assert len(agent.seen) == asked + 1


def test_between_a_look_at_the_budget_and_what_is_reserved_no_other_process_looks(session, monkeypatch):
    made, looked = session(Counting({"ideator": [IDEA], "coder": [{}, {}]}), max_tokens=10_000), []

    def look(limits, spent, estimate, *, run):
        with (made.ledger.git_dir / "autoqec/lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        looked.append(spent.calls)

    monkeypatch.setattr(tracing, "require_left", look)
    run_round(made)
    assert looked == [0, 1, 2]


def test_an_unknown_price_stops_a_run_that_is_limited_in_money_and_no_other(session):
    script = {"ideator": [IDEA], "coder": [{}, {}]}
    with pytest.raises(BudgetSpentError, match="price is unknown"):
        run_round(session(Counting(script, cost=None), max_cost=100.0))
    assert run_round(session(Counting(script, cost=None), seed=8, max_tokens=10_000)).status == "agent_error"


def test_a_call_that_a_kill_cut_off_counts_as_reserved(session):
    class Dying(Counting):
        def reply(self, role, context, report):
            if not self.seen:
                self.seen.append((role, context))
                raise KeyboardInterrupt
            return super().reply(role, context, report)

    made = session(Dying({"ideator": [IDEA], "coder": [{}, {}]}))
    with pytest.raises(KeyboardInterrupt):
        run_round(made)
    assert [(call.reply, call.tokens) for call in run_calls(made.ledger, made.run.name)] == [(None, 150)]
    resume_round(made, read_claim(made.ledger, made.run.name, 1))
    first = run_calls(made.ledger, made.run.name)[0]
    assert (first.lost, first.tokens, first.cost) == (1, 250, 0.5)


def test_an_agent_that_cannot_be_asked_leaves_the_round_open(session):
    class Away(ScriptedAgent):
        def reply(self, role, context, report):
            raise AgentUnavailable("no network", hint="plug it in")

    made = session(Away({}))
    with pytest.raises(AgentUnavailable, match="no network"):
        run_round(made)
    claim = read_claim(made.ledger, made.run.name, 1)
    assert claim.state == "open"
    made.registry.entries["agent", "scripted"] = made.registry.entries["agent", "search"]
    assert read_calls(made.ledger, made.run.name, 1) == []


def test_who_is_awaited_is_in_the_claim(session):
    class Person(ScriptedAgent):
        def reply(self, role, context, report):
            raise ReplyAwaited(context.run, context.round, role)

    made = session(Person({}))
    with pytest.raises(ReplyAwaited, match="waits for the ideator"):
        run_round(made)
    assert read_claim(made.ledger, made.run.name, 1).details["waiting"] == "ideator"


def test_rounds_that_come_to_nothing_are_enough_after_a_while(session):
    made = session(ScriptedAgent({}), patience=2)
    records, in_vain = run_rounds(made, 5, lambda record: None)
    assert ([record.number for record in records], in_vain) == ([1, 2], True)
    made.settings.values["patience"] = type(made.settings.values["patience"])(0, "flag")
    assert run_rounds(made, 3, lambda record: None)[1] is False


def test_time_that_is_up_begins_no_further_step(session):
    made = session(ScriptedAgent({"ideator": [IDEA]}), max_wall=5.0)
    made.deadline = time.monotonic()
    with pytest.raises(BudgetSpentError, match="max_wall are spent"):
        run_rounds(made, 1, lambda record: None)
    assert read_calls(made.ledger, made.run.name, 1) == []
    made.deadline = None
    record = run_round(made)
    made.deadline = time.monotonic() + 60
    assert record.status == "agent_error"


def test_the_owners_word_is_what_is_committed(session, autoqec_lab):
    made = session(ScriptedAgent({}))
    path = autoqec_lab.workdir / ".autoqec/steering.md"
    path.write_text("look at memory\n")
    assert build_context(made, 1, {}).steering == ""
    subprocess.run(["git", "add", ".autoqec/steering.md"], cwd=autoqec_lab.workdir, check=True)
    subprocess.run(["git", "commit", "-qm", "steer"], cwd=autoqec_lab.workdir, check=True)
    assert build_context(made, 1, {}).steering == "look at memory\n"


def test_a_role_is_played_by_who_can_with_the_options_that_are_given(session):
    made = session()
    entry = made.registry.entries["agent", "search"]
    made.registry.entries["agent", "shy"] = type(entry)(
        "agent", "shy", lambda **options: options, {"roles": ("coder",), "prices": True}, "t", "t 0"
    )
    made.settings.agents["coder"] = {"depth": 3}
    assert make_agent(made, "coder", "shy") == {"depth": 3, "prices": {}}
    with pytest.raises(UsageError, match="'shy' does not play the analyst"):
        make_agent(made, "analyst", "shy")
    made.settings.agents["coder"] = {"depth": 3}
    with pytest.raises(UsageError, match="does not accept"):
        make_agent(made, "coder", "search")


def test_a_tape_plays_a_round_again_without_the_agent(session, tmp_path):
    made = session(ScriptedAgent({"ideator": [{}, IDEA], "coder": [STILLBORN, {"files": {}}]}))
    head = {"run": made.run.name, "seed": "07", "env": "tiny", "env_id": made.run.env_id}
    made.recorder = Recorder(tmp_path / "tape", head)
    first = run_round(made)
    tape = Tape(tmp_path / "tape")
    assert (tape.head, tape.rounds) == (head, 1)
    # The same run, as it was before the round: nobody is asked, and the same becomes of it.
    subprocess.run(
        ["git", "update-ref", "-d", f"refs/autoqec/claims/{made.run.name}/1"], cwd=made.ledger.workdir, check=True
    )
    for kind in ("traces", "attempts"):
        subprocess.run(
            ["git", "update-ref", "-d", f"refs/autoqec/{kind}/{made.run.name}/1"], cwd=made.ledger.workdir, check=True
        )
    made.recorder, made.tape = None, tape
    again = run_round(made)
    assert (again.number, again.status, again.claim.reason) == (1, first.status, first.claim.reason)


def test_a_plan_calls_nobody_and_writes_nothing(session, monkeypatch):
    agent, begun = Counting({}, cost=0.5), []
    made = session(agent)
    before = subprocess.run(["git", "for-each-ref"], cwd=made.ledger.workdir, capture_output=True, check=True).stdout
    monkeypatch.setattr("autoqec.loop.round_probe._SECONDS", 0.01)
    measured = measure_round(made, begun.append)
    assert begun == [
        "measuring training with the first candidate of the agent search",
        "measuring the decoders",
        "measuring scoring with the first candidate of the agent search",
    ]
    assert (measured.train_at_most, measured.screen_shots, measured.without_candidate) == (600.0, 0, False)
    assert (measured.train_shots, measured.train) == (0, measured.train_started), (
        "the shots of this profile make no step"
    )
    assert measured.score > 0
    plan = plan_round(made, measured)
    assert agent.seen == []
    assert (plan["tokens"], plan["cost"], plan["seconds"]) == (450, 1.5, None)
    assert plan["measured"]["score_seconds"] > 0
    assert plan["seconds_at_most"] >= measured.train_at_most
    assert [(call["role"], call["prompt_tokens"]) for call in plan["calls"]] == [
        ("ideator", 100), ("coder", 100), ("analyst", 100),
    ]  # fmt: skip
    assert (
        subprocess.run(["git", "for-each-ref"], cwd=made.ledger.workdir, capture_output=True, check=True).stdout
        == before
    )
    agent.cost = None
    plan = plan_round(made)
    assert (plan["cost"], plan["measured"], plan["seconds_at_most"]) == (None, None, None)


def test_a_plan_measures_with_the_best_round_and_slow_decoders_alone(with_round, monkeypatch):
    name = f"{with_round.run.name}/2"

    def train(files, dems, decoder, *, report, parents, locked, **more):
        assert parents
        assert not locked
        clock = iter((0.0, 1.0, 3.0))
        monkeypatch.setattr("autoqec.loop.training_probe.time.monotonic", lambda: next(clock))
        for step, shots in ((0, 0), (10, 100), (30, 300)):
            report({"step": step, "shots": shots, "planned": 400})
        raise AssertionError("enough was measured")

    monkeypatch.setattr(round_probe, "_SECONDS", 2.0)
    monkeypatch.setattr(round_probe, "train_candidate", train)
    monkeypatch.setattr(round_probe, "_seconds_alone", lambda session: (0.01, 0.005))
    measured = measure_round(with_round, lambda part: None)
    assert (measured.candidate, measured.train_per_second) == (f"the candidate of {name}", 100.0)
    assert measured.train_shots == 4000, "as training says, which knows its steps"
    jobs = with_round.settings.jobs
    assert (measured.without_candidate, measured.score_per_second, measured.judge_per_second) == (
        True,
        100 * jobs,
        200 * jobs,
    )


def test_recorded_shots_are_measured_within_what_there_is(with_round, monkeypatch):
    """Shots that are drawn never end; those of a recording do, and no other shots than those for development are looked at."""
    asked = []
    monkeypatch.setattr(round_probe, "_SECONDS", 100.0)
    monkeypatch.setattr(round_probe, "is_recorded", lambda environment: True)
    monkeypatch.setattr(
        round_probe, "_timed", lambda stream, first, chunks, references: asked.append((first, chunks)) or 1.0
    )
    round_probe._scoring_speed(with_round, round_probe._borrowed(with_round), 5)
    assert max(first + chunks for first, chunks in asked) <= 5
    monkeypatch.setattr(round_probe, "is_recorded", lambda environment: False)
    started, scored, judged = round_probe._scoring_speed(with_round, round_probe._borrowed(with_round), 5)
    assert started == 0.0
    assert scored == judged == 4096 * asked[-1][1]
    assert len(asked) > 200


def test_an_edit_is_laid_over_the_parents_files(with_round, monkeypatch, one_process):
    """The Coder sees the parent's files and says only what changes; the commit has both."""
    made, parent = with_round, f"{with_round.run.name}/2"
    edit = {"edit": True, "files": {"training.yaml": "shots: 256\nbatch_size: 128\n"}, "message": "fewer shots"}
    more = ScriptedAgent(
        {
            "ideator": [{"text": "less", "fork_from": [parent]}],
            "coder": [edit],
            "analyst": [{"summary": "seen", "decision": "ignore"}],
        }
    )
    known = made.registry.entries["agent", "scripted"]
    monkeypatch.setitem(made.registry.entries, ("agent", "scripted"), replace(known, factory=lambda: more))
    record = run_round(made)
    context = dict(more.seen)["coder"]
    assert "stages/bp/stage.yaml" in context.parent_files
    changed = subprocess.run(
        ["git", "diff", "--name-only", f"exp/{parent}", str(record.commit)],
        cwd=made.ledger.workdir, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert changed == [".autoqec/candidate/training.yaml"]
    # What came of the first round is told: its summary, its figures, its time and the machine's.
    told = dict(more.seen)["ideator"]
    assert (told.history[-1].summary, told.history[-1].decision) == ("seen", "ignore")
    assert told.history[-1].seconds > 0
    assert told.machine["timings"][0]["round"] == parent
    assert told.machine["device"] == "cpu"
    assert dict(more.seen)["analyst"].parent_files.keys() >= {"stages/bp/stage.yaml"}
