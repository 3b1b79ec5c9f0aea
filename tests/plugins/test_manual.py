"""The manual agent: whoever plays by it is told in words, is awaited, and is asked once more if a reply did not hold."""

import pytest

from autoqec.agents.agent_contract import ROLES, Context, Estimate, Reply, ReplyAwaited
from autoqec.agents.calls import Call
from autoqec.config import load_settings
from autoqec.history import find_record
from autoqec.loop.manual_answers import awaited, find_waiting, take_reply
from autoqec.loop.one_round import resume_round, run_round
from autoqec.loop.round_state import read_state
from autoqec.loop.session import Session, open_run
from autoqec.loop.tracing import TracedCalls, read_calls
from autoqec.plugins import load_plugins


@pytest.mark.parametrize("role", ROLES)
def test_it_waits_in_every_role(role):
    entry = load_plugins().get("agent", "manual")
    assert entry.capabilities["words"]
    context = Context(environment={}, run="r-abcd", round=7, seed=1, stages={}, limits={})
    with pytest.raises(ReplyAwaited, match=f"r-abcd/7 waits for the {role}") as caught:
        entry.create().reply(role, context)
    assert "autoqec agents reply" in caught.value.hint


@pytest.fixture
def waiting(autoqec_lab):
    """A session whose round 1 waits for the ideator."""
    registry = load_plugins()
    settings = load_settings(autoqec_lab.workdir, dict.fromkeys(ROLES, "manual"))
    run = open_run(autoqec_lab, registry, env="tiny", run_name=None, fresh=True, seed=7)
    session = Session(autoqec_lab, registry, settings, run)
    with pytest.raises(ReplyAwaited):
        run_round(session)
    return session


def test_a_kept_reply_that_does_not_hold_any_more_is_asked_for_again_with_the_reason(waiting):
    ledger, run = waiting.ledger, waiting.run.name
    claim = find_waiting(ledger)
    # As if what it forks from had gone between the reply and its use.
    calls = TracedCalls(waiting, claim, claim.details["agents"])
    calls.begin("ideator", 1, Estimate())
    asked = awaited(waiting, claim)
    calls.end("ideator", 1, Reply({"text": "t", "fork_from": [f"{run}/9"]}), 0.0, asked.question.context)
    with pytest.raises(ReplyAwaited):
        resume_round(waiting, claim)
    claim = find_waiting(ledger)
    again = awaited(waiting, claim)
    assert again.attempt == 2
    assert f"{run}/9" in again.question.context.repair
    assert "could not be used" in again.prompt.text
    with pytest.raises(ReplyAwaited, match="waits for the coder"):
        take_reply(waiting, claim, {"text": "another"}, "{}")
    assert [(call.attempt, call.agent) for call in read_calls(ledger, run, 1)] == [(1, "manual"), (2, "manual")]
    assert read_state(ledger, run, 1).hypothesis["text"] == "another"


def test_a_reply_is_kept_with_its_prompt_and_takes_nothing(waiting):
    claim = find_waiting(waiting.ledger)
    prompt = awaited(waiting, claim).prompt.text
    with pytest.raises(ReplyAwaited):
        take_reply(waiting, claim, {"text": "an idea"}, '{"text": "an idea"} ')
    (call,) = read_calls(waiting.ledger, waiting.run.name, 1)
    assert isinstance(call, Call)
    assert (call.agent, call.tokens, call.cost) == ("manual", 0, 0.0)
    assert call.reply.prompt == prompt
    assert call.reply.text == '{"text": "an idea"} '
    assert find_record(waiting.ledger, waiting.run.name, 1).status == "waiting"
