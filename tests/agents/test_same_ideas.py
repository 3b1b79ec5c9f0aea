"""When a hypothesis is the idea of another round."""

import json

import pytest

from autoqec.agents.agent_contract import PastRound
from autoqec.agents.role_messages import Hypothesis
from autoqec.agents.same_ideas import same_idea
from autoqec.errors import UsageError
from autoqec.loop.role_questions import check_beside

WORDS = "Double the iterations of the first stage, because loops settle late"


def other(**fields):
    return PastRound("r/3", "open", **{"hypothesis": WORDS, "fork_from": ("r/1",)} | fields)


@pytest.mark.parametrize(
    ("message", "open_round", "same"),
    [
        ({"text": WORDS.upper() + "!", "fork_from": ["r/1"]}, {}, True),
        ({"text": WORDS.replace("settle late", "settle too late"), "fork_from": ["r/1"]}, {}, True),
        ({"text": WORDS, "fork_from": ["r/2"]}, {}, False),
        ({"text": "Use 12 iterations", "fork_from": ["r/1"]}, {"hypothesis": "Use 8 iterations"}, False),
        ({"text": WORDS, "fork_from": ["r/1"], "hint": json.dumps({"files": {}})}, {}, False),
        ({"text": WORDS, "fork_from": ["r/1"], "hint": "[" * 8_000}, {}, True),
        ({"text": "a", "fork_from": ["r/1", "r/2"], "compose": "pure"}, {"fork_from": ("r/2", "r/1"), "compose": "pure"}, True),
        ({"text": "a", "fork_from": ["r/1", "r/2"], "compose": "with_edit"},
         {"fork_from": ("r/1", "r/2"), "compose": "pure"}, False),
        ({"text": "·"}, {"hypothesis": "", "fork_from": ()}, False),
    ],
)  # fmt: skip
def test_an_idea_is_the_same_if_it_starts_from_the_same_rounds_and_says_the_same(message, open_round, same):
    assert same_idea(Hypothesis.model_validate(message), other(**open_round)) is same


def test_an_agents_idea_is_another_than_those_of_open_rounds_and_starts_from_none_of_them():
    check_beside(Hypothesis(text="Train longer", fork_from=("r/1",)), [other()])
    with pytest.raises(UsageError, match="this idea is tried now, by r/3") as found:
        check_beside(Hypothesis(text=WORDS, fork_from=("r/1",)), [other()])
    assert (found.value.code, found.value.about) == ("same_idea", {"round": "r/3"})
    with pytest.raises(UsageError, match="r/3 is open") as found:
        check_beside(Hypothesis(text="Train longer", fork_from=("r/3",)), [other()])
    assert (found.value.code, found.value.about) == ("parent_open", {"round": "r/3"})
