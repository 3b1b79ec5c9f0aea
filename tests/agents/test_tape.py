"""Tapes: what was said is said again to the same question, and to no other."""

from dataclasses import replace

import pytest

from autoqec.agents.agent_contract import AgentUnavailable, Context, Reply, Usage, ignore
from autoqec.agents.calls import Call
from autoqec.agents.tape import Recorder, Tape, TapedAgent
from autoqec.errors import AutoQECError, NotFoundError, UsageError

HEAD = {"run": "r-abcd", "seed": "00", "env": "e", "env_id": "0" * 64}
CONTEXT = Context(environment={}, run="r-abcd", round=1, seed=1, stages={}, limits={})
SAID = Reply({"text": "ü\u2028"}, model="m", prompt="p\np", text="t", usage=Usage(1, 2), cost=0.5)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "tape.jsonl"
    Recorder(path, HEAD).add(Call(1, "ideator", 1, "a", 0.5, SAID), CONTEXT)
    return path


def test_it_says_what_was_said(path):
    tape = Tape(path)
    assert (tape.head, tape.rounds) == (HEAD, 1)
    assert TapedAgent(tape).reply("ideator", CONTEXT, ignore) == SAID


def test_another_machine_and_more_time_are_the_same_question(path):
    told = replace(CONTEXT, machine={"cores": 64}, budget={"rounds": 3}, front=("r-abcd/1",))
    assert Tape(path).play("ideator", told) == SAID


@pytest.mark.parametrize("change", [{"seed": 2}, {"environment": {"p": 1}}, {"parent_files": {"a": "b"}}])
def test_another_question_is_refused(path, change):
    with pytest.raises(AutoQECError, match="was a different one"):
        Tape(path).play("ideator", replace(CONTEXT, **change))


def test_where_the_tape_ends_the_round_stays_open(path):
    for role, told in (
        ("coder", CONTEXT),
        ("ideator", replace(CONTEXT, round=2)),
        ("ideator", replace(CONTEXT, repair="x")),
    ):
        with pytest.raises(AgentUnavailable, match="has no reply"):
            Tape(path).play(role, told)


def test_more_is_appended_and_another_run_is_not(path):
    Recorder(path, HEAD).add(Call(2, "ideator", 1, "a", 0.5, SAID), replace(CONTEXT, round=2))
    assert Tape(path).rounds == 2
    with pytest.raises(UsageError, match="tape of run r-abcd"):
        Recorder(path, HEAD | {"run": "other"})


@pytest.mark.parametrize(
    ("text", "line"),
    [("", "empty"), ("{", "line 1"), ('{"schema": "x"}', "line 1"), ("[]", "line 1"), ("\x00", "line 1")],
)
def test_what_is_no_tape_is_named(tmp_path, text, line):
    path = tmp_path / "t"
    path.write_text(text)
    with pytest.raises(UsageError, match=line):
        Tape(path)


def test_a_torn_line_is_named(path):
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UsageError, match="line 2"):
        Tape(path)
    with pytest.raises(NotFoundError, match="no such file"):
        Tape(path.with_name("none"))
