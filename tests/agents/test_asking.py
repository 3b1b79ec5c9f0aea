"""Agents: replies are validated, repaired once, then refused; what they say is bounded data."""

import pytest

from autoqec.agents.agent_contract import Context
from autoqec.agents.asking import AgentError, ask
from autoqec.agents.role_messages import Hypothesis
from autoqec.errors import UsageError
from autoqec.testing import ScriptedAgent

CONTEXT = Context(environment={}, run="r-abcd", round=1, seed=1, stages={}, limits={})
GOOD = {"text": "an idea"}


def test_a_good_reply_is_taken_as_it_is():
    agent = ScriptedAgent({"ideator": [GOOD]})
    assert ask(agent, "ideator", CONTEXT) == Hypothesis(text="an idea")
    assert agent.seen[0][1].repair is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({}, "text: missing; it must be text"),
        ({"text": ""}, "text:"),
        ({"text": "x" * 501}, "text:"),
        ({**GOOD, "verdict": "VERIFIED"}, "verdict: unknown field"),
        ({**GOOD, "fork_from": ["main"]}, "fork_from.0"),
        ({**GOOD, "fork_from": ["../../etc/1"]}, "fork_from.0"),
        ({**GOOD, "fork_from": ["r-abcd/1", "r-abcd/1"], "compose": "pure"}, "twice"),
        ({**GOOD, "fork_from": ["r-abcd/1", "r-abcd/2"]}, "compose is pure or with_edit"),
        ({**GOOD, "fork_from": ["r-abcd/1"], "compose": "pure"}, "compose is pure or with_edit"),
        ("just text", "not a JSON object"),
        (None, "not a JSON object"),
    ],
)
def test_a_bad_reply_gets_one_repair_with_the_reason(bad, reason):
    agent = ScriptedAgent({"ideator": [bad, GOOD]})
    assert ask(agent, "ideator", CONTEXT).text == "an idea"
    assert reason in agent.seen[1][1].repair


def test_two_bad_replies_are_the_end():
    agent = ScriptedAgent({"ideator": [{}, {"text": 3}, GOOD]})
    with pytest.raises(AgentError, match="ideator.*text: must be text"):
        ask(agent, "ideator", CONTEXT)
    assert len(agent.seen) == 2


def test_a_reply_that_cannot_be_used_here_is_repaired_too():
    agent = ScriptedAgent({"ideator": [GOOD, {"text": "another"}]})

    def check(message):
        if message.text == "an idea":
            raise UsageError("tried before")

    assert ask(agent, "ideator", CONTEXT, check).text == "another"
    assert agent.seen[1][1].repair == "tried before"
