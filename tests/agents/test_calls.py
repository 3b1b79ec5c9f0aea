"""Calls and budgets: what is kept holds no secret, and what nobody knows is not counted as nothing."""

import json

import pytest

from autoqec.agents.agent_contract import AgentUnavailable, Context, Estimate, Reply, Usage
from autoqec.agents.asking import AgentError, ask
from autoqec.agents.budget import Limits, Spent, left, require_left, spent_on
from autoqec.agents.calls import Call, as_reply, kept_reply, redact
from autoqec.errors import BudgetSpentError

CONTEXT = Context(environment={}, run="r-abcd", round=1, seed=1, stages={}, limits={})
SECRET = "s3cr3t-of-the-house"
USED = Usage(10, 5, 3, 2)


def test_secrets_of_the_environment_and_what_looks_like_one_are_taken_out(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    monkeypatch.setenv("SHORT_KEY", "abc")
    said = {SECRET: [f"it is {SECRET}.", f"sk-ant-{'a1' * 20}", "Authorization: Bearer abcdefghijklmnopqrstuv"]}
    found = json.dumps(redact(said))
    assert SECRET not in found
    assert "sk-ant" not in found
    assert "abcdefghijklmnopqrstuv" not in found
    assert redact("abc keys of the task") == "abc keys of the task"
    reply = kept_reply(Reply({"text": SECRET}, problem=SECRET, prompt=SECRET, text=SECRET))
    assert SECRET not in repr(reply)
    assert len(kept_reply(Reply(None, text="x" * 10**6)).text) < 500_000


def test_a_call_is_read_back_as_it_was_written():
    for call in (
        Call(
            3, "coder", 2, "a:b", 1.5, Reply({"x": 1}, "p", "m", "prompt", "text", USED, None), Estimate(1, 2, None), 1
        ),
        Call(1, "ideator", 1, "a"),
    ):
        texts = {"prompt": call.reply.prompt, "text": call.reply.text} if call.reply else {}
        assert Call.from_dict(json.loads(json.dumps(call.to_dict())), **texts) == call


def test_a_mapping_is_a_reply_without_a_price():
    assert as_reply({"text": "x"}) == Reply({"text": "x"})
    assert spent_on([Call(1, "coder", 1, "a", reply=Reply({}))]) == Spent(1, 0, 0.0, 0)


def test_a_call_that_was_cut_off_counts_as_what_was_reserved():
    reserved = Estimate(50, 100, 0.5)
    begun = Call(1, "coder", 1, "a", estimate=reserved)
    again = Call(1, "coder", 1, "a", reply=Reply({}, usage=USED, cost=0.1), estimate=reserved, lost=2)
    assert (begun.tokens, begun.cost) == (100, 0.5)
    assert (again.tokens, again.cost) == (220, 1.1)
    assert spent_on([begun, again]) == Spent(2, 320, 1.6, 0)


def test_prices_that_nobody_knows_are_not_zero():
    unknown = Call(1, "coder", 1, "a", reply=Reply({}, usage=USED, cost=None))
    assert spent_on([unknown]) == Spent(1, 20, 0.0, 1)
    with pytest.raises(BudgetSpentError, match="price is unknown"):
        require_left(Limits(cost=1.0), Spent(), Estimate(1, 1, None), run="r")
    with pytest.raises(BudgetSpentError, match="price is unknown"):
        require_left(Limits(cost=1.0), spent_on([unknown]), Estimate(1, 1, 0.1), run="r")
    require_left(Limits(tokens=100), Spent(), Estimate(1, 1, None), run="r")


@pytest.mark.parametrize(
    ("limits", "hint"), [(Limits(tokens=100), "--max-tokens 22"), (Limits(cost=0.5), "--max-cost 1.")]
)
def test_a_call_that_could_take_more_than_is_left_is_not_made(limits, hint):
    require_left(limits, Spent(1, 40, 0.2), Estimate(10, 60, 0.3), run="r")
    with pytest.raises(BudgetSpentError, match="run r has spent") as caught:
        require_left(limits, Spent(1, 50, 0.25), Estimate(10, 60, 0.3), run="r")
    assert hint in caught.value.hint
    assert caught.value.exit_code == 4


def test_what_is_left_is_told():
    assert left(Limits(), Spent(1, 5, 1.0)) == {}
    assert left(Limits(10, 2.0), Spent(1, 15, 0.5)) == {"tokens": 0, "cost": 1.5}


class Log:
    """Keeps calls in memory."""

    def __init__(self, known=()):
        self.known, self.began, self.ended = dict(known), [], []

    def report(self, progress):
        pass

    def recorded(self, role, attempt):
        return self.known.get((role, attempt))

    def begin(self, role, attempt, estimate):
        self.began.append((role, attempt, estimate.tokens))

    def end(self, role, attempt, reply, seconds, context):
        self.ended.append((role, attempt, reply))


class Priced:
    """An agent that answers in turn, and whose calls take tokens."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def estimate(self, role, context):
        return Estimate(7, 9, 0.1)

    def reply(self, role, context, report):
        found = self.replies.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def test_a_call_is_kept_before_its_reply_is_looked_at():
    log = Log()
    with pytest.raises(AgentError, match="the model refused"):
        ask(Priced(Reply({"text": 3}), Reply(None, problem="the model refused")), "ideator", CONTEXT, log=log)
    assert log.began == [("ideator", 1, 9), ("ideator", 2, 9)]
    assert [reply.problem for _, _, reply in log.ended] == ["", "the model refused"]


def test_what_was_said_is_not_asked_for_again():
    log = Log({("ideator", 1): Reply({"text": ""}), ("ideator", 2): Reply({"text": "an idea"})})
    assert ask(Priced(), "ideator", CONTEXT, log=log).text == "an idea"
    log = Log({("ideator", 1): Reply({"text": ""})})
    assert ask(Priced({"text": "second"}), "ideator", CONTEXT, log=log).text == "second"
    assert [(role, attempt) for role, attempt, _ in log.ended] == [("ideator", 2)]


def test_an_agent_that_cannot_be_asked_now_does_not_end_the_round():
    with pytest.raises(AgentUnavailable, match="no key"):
        ask(Priced(AgentUnavailable("no key")), "ideator", CONTEXT)
    with pytest.raises(AgentError, match="the ideator failed: ValueError: x"):
        ask(Priced(ValueError("x\ny")), "ideator", CONTEXT)
