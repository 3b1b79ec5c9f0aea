"""Brackets of ideas that are compared at their screens, and screened-out rounds that train on."""

import json
from dataclasses import replace

import pytest
from autoqec_plugins.search.brackets import MOST, worth_training_on
from autoqec_plugins.search.evolution import EvolutionAgent
from autoqec_plugins.search.random_agent import RandomAgent
from autoqec_plugins.search.roles import analyse
from autoqec_plugins.search.search_agent import SearchAgent

from autoqec.agents.agent_contract import PastRound
from autoqec.canonical import load_yaml
from autoqec.errors import UsageError
from autoqec.results.counts import PairedCounts
from autoqec.results.note_form import write_record
from autoqec.results.rungs import Rung, rung_after
from autoqec.testing.agent_context import tiny_context
from autoqec.testing.sample_notes import some_metrics

CONTEXT = tiny_context(limits={"train_shots": 409_600})


def told(context, history):
    return replace(context, history=tuple(history), round=len(history) + 1, seed=100 + len(history))


def played(agent, ratios, history=()):
    """The history after rounds whose screens found these ratios; a round that asks for the screen alone ends there."""
    history = list(history)
    for ratio in ratios:
        now = told(CONTEXT, history)
        idea = agent.reply("ideator", now)
        files = agent.reply("coder", replace(now, hypothesis=idea))["files"]
        alone = idea.get("screen") == "only"
        rung = {"rung": write_record(Rung(0, 40_960, 409_600, alone=True))} if alone else {}
        history.append(
            PastRound(
                f"tiny-0000/{len(history) + 1}",
                "screened_out" if alone else "ok",
                fork_from=tuple(idea.get("fork_from", ())),
                compose=idea.get("compose", "none"),
                files=files,
                metrics=some_metrics(ler_ratio=ratio, **rung),
            )
        )
    return history


@pytest.mark.parametrize("agent", [SearchAgent, RandomAgent, EvolutionAgent])
def test_the_better_half_of_a_bracket_trains_on_and_the_next_one_follows(agent):
    history = played(agent(bracket=4), [0.9, 0.7, 0.8, 0.6, 0.65, 0.66, 0.9])
    assert [past.status for past in history] == ["screened_out"] * 4 + ["ok"] * 2 + ["screened_out"]
    assert [past.fork_from for past in history[4:6]] == [("tiny-0000/4",), ("tiny-0000/2",)]
    for child, parent in ((history[4], history[3]), (history[5], history[1])):
        mine, theirs = dict(child.files), dict(parent.files)
        training = load_yaml(mine.pop("training.yaml"), name="training.yaml")
        theirs.pop("training.yaml")
        assert mine == theirs
        assert (training["init"], training["shots"]) == ("parents", 368_640)


def test_without_a_bracket_no_round_asks_for_the_screen_alone():
    assert all(past.status == "ok" for past in played(SearchAgent(), [0.7] * 4))


@pytest.mark.parametrize("bracket", [0, MOST + 1, True, "4"])
def test_a_bracket_is_a_small_number(bracket):
    with pytest.raises(UsageError, match="bracket"):
        SearchAgent(bracket=bracket)


def screened(number, failures, *, rival_fails=100, curriculum=1.0):
    counts = PairedCounts(16_384, 20, rival_fails - 20, failures - 20)
    rung = Rung(rung_after(counts), 40_960, 409_600, "tiny-0000/1", "c" * 40, counts)
    training = f"shots: 409600\nlearning_rate: {0.01 * number}\ncurriculum: {curriculum}\n"
    return PastRound(
        f"tiny-0000/{number}",
        "screened_out" if rung.out else "ok",
        files={"stages/bp/stage.yaml": "kind: neural_bp\n", "training.yaml": training},
        metrics=some_metrics(rung=write_record(rung)),
    )


def test_a_round_that_its_screen_ended_trains_on_if_half_of_those_that_passed_were_no_better():
    passed = [screened(number, failures) for number, failures in ((1, 120), (2, 145), (3, 150))]
    good, bad = (screened(number, fails, rival_fails=40, curriculum=2.0) for number, fails in ((4, 140), (5, 160)))
    assert [past.status for past in (*passed, good, bad)] == ["ok"] * 3 + ["screened_out"] * 2
    assert worth_training_on(told(CONTEXT, [good])) is None, "none has passed that it could be better than"
    assert worth_training_on(told(CONTEXT, [*passed, bad])) is None
    idea = worth_training_on(told(CONTEXT, [*passed, bad, good]))
    assert idea["fork_from"] == ["tiny-0000/4"]
    training = load_yaml(json.loads(idea["hint"])["files"]["training.yaml"], name="training.yaml")
    assert (training["init"], training["shots"], training["curriculum"]) == ("parents", 368_640, 1.0)
    child = replace(good, name="tiny-0000/6", status="ok", fork_from=(good.name,))
    assert worth_training_on(told(CONTEXT, [*passed, bad, good, child])) is None, "it does so once"


def test_the_search_trains_such_a_round_on():
    passed = [screened(1, 120), screened(2, 150)]
    good = screened(3, 130, rival_fails=40)
    here = replace(told(CONTEXT, [*passed, good]), formats={})
    assert SearchAgent().ideate(here)["fork_from"] == ["tiny-0000/3"]
    idea = SearchAgent(bracket=4).reply("ideator", here)
    assert (idea["fork_from"], idea["screen"]) == (["tiny-0000/3"], "auto"), "it is no new idea, and trains to its end"


def test_the_analyst_says_at_which_rung_a_round_ended():
    past = screened(4, 140, rival_fails=40)
    told_now = analyse(replace(CONTEXT, metrics=past.metrics))
    assert told_now["decision"] == "ignore"
    assert told_now["summary"].startswith("Rung 0: screened out after 40,960 of 409,600 training shots")
