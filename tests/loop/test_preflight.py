"""What a round needs is checked before it begins: nothing is claimed, noted or drawn where something is missing."""

import subprocess
from concurrent.futures import Future
from dataclasses import replace

import pytest

from autoqec.agents.agent_contract import AgentUnavailable
from autoqec.agents.role_messages import Hypothesis
from autoqec.config import load_settings
from autoqec.errors import AutoQECError, BudgetSpentError, UsageError
from autoqec.history import claim_round, list_claims, load_run, open_ledger, read_claim, read_lines
from autoqec.history.reading.run_chain import read_chain
from autoqec.loop.judging import judge
from autoqec.loop.one_round import resume_round, run_round
from autoqec.loop.preflight import agents_to_ask, begin_run, require_judge
from autoqec.loop.round_state import read_state
from autoqec.loop.session import open_run
from autoqec.plugins import Registration
from autoqec.sandbox.channel import Message
from autoqec.scoring.remote.remote_pool import NoWorkers
from autoqec.testing import ScriptedAgent


class Keyless(ScriptedAgent):
    """An agent that says beforehand that it cannot be asked."""

    def require_ready(self):
        raise AgentUnavailable("there is no key", hint="export KEY=…")


MISSING = {
    "executor": ({"executor": "nope"}, "no executor named 'nope'"),
    "verifier": ({"verifier": "nope"}, "no verifier named 'nope'"),
    "agent": ({"analyst": "nope"}, "no agent named 'nope'"),
    "strong reference": ({"strong_reference": "nope"}, "no decoder named 'nope'"),
    "remote": ({"claim_remote": "nope"}, "'nope' is neither a remote nor a path"),
    "program": ({"coder": "cli:claude"}, "the program claude is not on PATH"),
    "key": ({"coder": "anthropic:claude-x"}, "there is no key for the Anthropic API"),
    "signing key": ({"signing_key": "nowhere"}, "there is no key at"),
    "signing key that is none": ({"signing_key": "text"}, "signing_key: "),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_round_that_lacks_something_is_not_begun(session, monkeypatch, tmp_path, case):
    given, words = MISSING[case]
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    (tmp_path / "text").write_text("no key")
    flags = {name: str(tmp_path / value) if name == "signing_key" else value for name, value in given.items()}
    made = session()
    # As for whoever continues the run: to open a new one, more is looked at.
    made = replace(made, settings=load_settings(made.ledger.workdir, flags))
    monkeypatch.setattr(type(made), "problem", None)  # nothing is compiled to find out
    with pytest.raises(AutoQECError) as caught:
        run_round(made)
    assert words in caught.value.problem
    assert caught.value.hint
    assert list_claims(made.ledger) == []


def test_a_spent_error_budget_is_found_before_a_round_trains(session, monkeypatch):
    made = session()
    chain = read_chain(made.ledger, made.run.name)
    monkeypatch.setattr(type(chain), "next_attempt", None)
    with pytest.raises(BudgetSpentError, match="the error budget of run .* is spent"):
        run_round(made)
    assert list_claims(made.ledger) == []


class Elsewhere:
    """An executor that has workers elsewhere, or none if there is an error."""

    def __init__(self, jobs, asked, error=None):
        self.jobs, self.asked, self.error = jobs, asked, error

    def submit(self, task):
        self.asked.append(task.function)
        future = Future()
        future.set_exception(self.error) if self.error else future.set_result(Message({}))
        return future

    def watch(self, told):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


def far(made, **options):
    """A session with that executor."""
    made.registry.entries["executor", "far"] = Registration("executor", "far", Elsewhere, {}, "test", "0")
    settings = load_settings(made.ledger.workdir, {"executor": "far"})
    return replace(made, settings=replace(settings, executors={"far": options}))


def test_a_round_whose_workers_are_not_there_is_not_begun(session):
    asked = []
    made = far(session(), asked=asked, error=NoWorkers("no worker is there: ssh a: no route"))
    with pytest.raises(NoWorkers, match="no worker is there: ssh a: no route"):
        run_round(made)
    assert asked == ["autoqec.testing.example_tasks:echo"]
    assert list_claims(made.ledger) == []


def test_no_attempt_is_spent_where_no_worker_is_there_and_one_that_is_there_is_asked_once(with_round):
    made = far(with_round, asked=[], error=NoWorkers("no worker is there"))
    before = read_lines(made.ledger, made.run.name, "verdict")
    with pytest.raises(NoWorkers):
        judge(made, read_state(made.ledger, made.run.name, 2))
    assert read_lines(made.ledger, made.run.name, "verdict") == before
    made = far(with_round, asked=(asked := []))
    require_judge(made)
    require_judge(made)
    assert len(asked) == 1


def test_a_round_whose_executor_does_not_take_its_options_is_not_begun(session):
    """Found when shots are scored, it would cost the whole training."""
    made = session()
    made = replace(made, settings=replace(made.settings, executors={"local": {"slots": 2}}))
    with pytest.raises(UsageError, match="executor 'local' .* does not accept .* unknown field slots; known: jobs"):
        run_round(made)
    assert list_claims(made.ledger) == []


def test_only_those_are_needed_who_are_still_to_be_asked(session):
    made = session(Keyless({}))
    everybody = dict.fromkeys(("ideator", "coder", "analyst"), "scripted")
    assert agents_to_ask(made) == everybody
    with pytest.raises(AgentUnavailable, match="no key"):
        run_round(made)
    pure = Hypothesis(text="a merge", fork_from=("r/1", "r/2"), compose="pure")
    with pytest.raises(AgentUnavailable, match="no key"):
        run_round(made, pure)  # the analyst
    assert list_claims(made.ledger) == []
    claim = claim_round(made.ledger, made.run.name, {"agents": everybody | {"ideator": "person"}})
    assert agents_to_ask(made, claim) == {"coder": "scripted", "analyst": "scripted"}
    with pytest.raises(AgentUnavailable, match="no key"):
        resume_round(made, claim)
    assert read_claim(made.ledger, claim.run, claim.number) == claim  # nobody has taken it over
    done = claim_round(made.ledger, made.run.name, {"agents": dict.fromkeys(everybody, "person")})
    assert agents_to_ask(made, done) == {}


@pytest.mark.parametrize("case", ["executor", "strong reference", "signing key that is none"])
def test_no_attempt_is_spent_where_no_verdict_could_be_noted(with_round, tmp_path, case):
    given, words = MISSING[case]
    subprocess.run(["cp", __file__, tmp_path / "text"], check=True)
    flags = {name: str(tmp_path / value) if name == "signing_key" else value for name, value in given.items()}
    made = replace(with_round, settings=load_settings(with_round.ledger.workdir, flags))
    before = read_lines(made.ledger, made.run.name, "verdict")
    with pytest.raises(AutoQECError, match=words):
        judge(made, read_state(made.ledger, made.run.name, 2))
    assert read_lines(made.ledger, made.run.name, "verdict") == before


def two_sessions(made, **flags):
    """Two sessions of a run that neither found and both describe, as two commands at once do; each with its own seed."""
    described = [
        open_run(made.ledger, made.registry, env="tiny", run_name="both", fresh=False, seed=seed, dry=True)
        for seed in flags.get("seeds", (None, None))
    ]
    return [replace(made, run=run) for run in described]


def test_two_that_start_a_run_at_once_work_on_one_run(session):
    first, second = two_sessions(session(ScriptedAgent({})))
    assert first.run.settings["seed"] != second.run.settings["seed"]
    begin_run(first)
    begin_run(second)
    assert second.run == first.run == load_run(first.ledger, "both")
    assert [run_round(each).number for each in (first, second)] == [1, 2]
    assert open_run(first.ledger, first.registry, env="tiny", run_name="both", fresh=False, seed=None) == first.run


def test_two_clones_that_start_a_run_at_once_work_on_one_run(session, tmp_path):
    made = session(ScriptedAgent({}))
    subprocess.run(["git", "clone", "-q", "--bare", made.ledger.workdir, tmp_path / "remote.git"], check=True)
    settings = load_settings(made.ledger.workdir, {"claim_remote": str(tmp_path / "remote.git")})
    subprocess.run(["git", "clone", "-q", tmp_path / "remote.git", tmp_path / "clone"], check=True)
    first, second = (replace(each, settings=settings) for each in two_sessions(made))
    second.ledger = open_ledger(tmp_path / "clone")
    begin_run(first)
    begin_run(second)
    assert second.run == first.run == load_run(second.ledger, "both")
    subprocess.run(["git", "clone", "-q", tmp_path / "remote.git", tmp_path / "third"], check=True)
    third = open_ledger(tmp_path / "third")
    found = open_run(
        third, made.registry, env="tiny", run_name="both", fresh=False, seed=None, remote=settings["claim_remote"]
    )
    assert found == first.run


def test_a_run_that_another_process_started_meanwhile_is_refused_if_it_is_not_the_one_that_was_asked_for(session):
    made = session(ScriptedAgent({}))
    first, second = two_sessions(made, seeds=(1, 2))
    begin_run(first)
    for asked, words in (
        ({"fresh": True}, "has started run both meanwhile"),
        ({"seed": 2}, "run both has another seed"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            begin_run(second, **asked)
        assert caught.value.hint
    second.run = replace(second.run, env_id="0" * 64)
    with pytest.raises(UsageError, match="has started run both meanwhile, on tiny@"):
        begin_run(second)
    assert list_claims(made.ledger, "both") == []
