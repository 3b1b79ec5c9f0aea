"""The embedded agents beside open rounds: nothing in flight is proposed again, and open rounds count at their expected values."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from autoqec_plugins.search.brackets import in_bracket
from autoqec_plugins.search.gain_model import GainModel
from autoqec_plugins.search.normal_form import normal_form
from autoqec_plugins.search.optimiser import expected_trials, mutate
from autoqec_plugins.search.relations import composes_due, merged, pairs_to_compose
from autoqec_plugins.search.search_agent import SearchAgent
from autoqec_plugins.search.space import is_in_flight, parse, templates_here, unparse

from autoqec.agents.agent_contract import PastRound
from autoqec.results.note_form import write_record
from autoqec.results.rungs import Rung
from autoqec.testing.sample_notes import some_metrics

every_agent = pytest.mark.parametrize("agent", ["search", "random", "evolution"])


@pytest.fixture(scope="module")
def simulated():
    """The benchmark's simulation, and the context of a first round in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        import rounds_at_once

        return rounds_at_once, rounds_at_once.first_context()


def told(ended):
    return [(each.past.name, each.past.fork_from, each.past.compose, each.past.files) for each in ended]


@every_agent
def test_rounds_at_once_try_different_candidates_and_the_same_order_gives_the_same(simulated, agent, monkeypatch):
    world, base = simulated
    ask, in_flight = world.ask, []

    def asked(player, role, context):
        in_flight.append(context)
        return ask(player, role, context)

    monkeypatch.setattr(world, "ask", asked)
    again = [world.play(world.AGENTS[agent](), world.Landscape(1, base), 14, 6, seed=1) for _ in range(2)]
    assert told(again[0]) == told(again[1])
    assert not any(each.past.status == "agent_error" for each in again[0]), "each round has an idea, from the first on"
    by_name = {each.past.name: normal_form(parse(each.past.files), base) for each in again[0]}
    assert max(len(context.open_rounds) for context in in_flight) == 5
    for context in in_flight:
        own = by_name[f"{context.run}/{context.round}"]
        assert own not in [by_name[past.name] for past in context.open_rounds]
        assert {past.name for past in context.history}.isdisjoint(past.name for past in context.open_rounds)


def test_where_open_rounds_try_every_template_the_first_one_is_varied(simulated):
    world, base = simulated
    at_once = len(templates_here(base)) + 3
    ended = world.play(SearchAgent(), world.Landscape(1, base), at_once, at_once, seed=1)
    assert not any(each.past.fork_from or each.past.status != "ok" for each in ended)
    assert world.duplicates(ended, base) == 0
    # Without an open round the search is exhausted, as it was before rounds could run at once.
    failed = tuple(replace(each.past, status="train_error", metrics=None) for each in ended)
    assert SearchAgent().reply("ideator", replace(base, round=at_once + 1, history=failed))["text"] == ""


@pytest.fixture
def three(simulated):
    """Three rounds that have ended, and a fork of the second one that is open."""
    world, base = simulated
    ended = world.play(world.AGENTS["search"](), world.Landscape(1, base), 3, 1, seed=1)
    history = tuple(each.past for each in ended)
    here = replace(base, round=4, seed=5, history=history)
    changed = unparse(mutate(history[1], here, 1)[0])
    busy = PastRound("simulated/4", "open", fork_from=("simulated/2",), files=changed)
    return here, replace(here, round=5, open_rounds=(busy,))


def test_an_open_round_changes_no_expectation_and_makes_the_model_surer_beside_it(three):
    alone, beside = three
    before, after = GainModel(alone), GainModel(beside)
    (busy,) = beside.open_rounds
    for files in (busy.files, *(past.files for past in alone.history)):
        assert after.predict(parse(files))[0] == before.predict(parse(files))[0]
    falls = [
        before.predict(parse(files))[1] - after.predict(parse(files))[1]
        for files in (busy.files, alone.history[2].files)
    ]
    assert falls[0] > falls[1] >= 0
    first = replace(alone, history=())
    while_first = GainModel(replace(first, open_rounds=beside.open_rounds))
    assert while_first.predict(parse(busy.files))[0] == GainModel(first).predict(parse(busy.files))[0]
    assert while_first.predict(parse(busy.files))[1] < GainModel(first).predict(parse(busy.files))[1]


def test_the_estimator_has_open_rounds_with_the_expected_gain_and_their_parents_costs(three):
    _, beside = three
    (busy,) = beside.open_rounds
    model = GainModel(beside)
    ((past, _, (gain, flops, params)),) = expected_trials(model, beside)
    assert past is busy
    assert gain == model.predict(parse(busy.files))[0]
    costs = beside.history[1].metrics.costs
    assert (10**flops, 10**params) == pytest.approx((costs.flops_per_shot, costs.params))
    unknown = replace(busy, fork_from=("simulated/9",))
    assert not expected_trials(model, replace(beside, open_rounds=(unknown,)))
    known = expected_trials(model, beside) * 6
    assert any(
        mutate(beside.history[1], beside, salt, known) != mutate(beside.history[1], beside, salt) for salt in range(8)
    )


def test_an_open_merge_counts_as_a_merge_and_what_it_makes_is_not_made_by_another(three):
    alone, beside = three
    history = tuple(replace(past, compose="none") for past in alone.history)
    alone = replace(alone, history=history)
    assert composes_due(alone, 4)
    busy = replace(beside.open_rounds[0], compose="pure", files={})
    assert not composes_due(replace(alone, open_rounds=(busy,)), 4)
    one, other = (
        PastRound(f"simulated/{n}", "ok", files=files, metrics=some_metrics())
        for n, files in ((1, {"stages/a/stage.yaml": "kind: mlp\n"}), (2, {"stages/b/stage.yaml": "kind: gnn\n"}))
    )
    here = replace(alone, history=(one, other))
    assert list(pairs_to_compose([one, other], here)) == [(one, other)]
    same = PastRound("simulated/3", "open", files=unparse(merged((one, other), here)))
    there = replace(here, open_rounds=(same,))
    assert is_in_flight(merged((one, other), there), {}, there)
    assert not list(pairs_to_compose([one, other], there))


def test_a_bracket_with_an_open_round_has_no_better_half_yet(simulated):
    _, base = simulated
    alone = {"rung": write_record(Rung(0, 40_960, 409_600, alone=True))}

    def screened(number, ratio):
        files = {"stages/a/stage.yaml": f"kind: mlp\nhidden: {8 * number}\n", "training.yaml": "shots: 409600\n"}
        metrics = some_metrics(ler_ratio=ratio, **alone)
        return PastRound(f"simulated/{number}", "screened_out", files=files, metrics=metrics)

    ended, last = (screened(1, 0.7), screened(3, 0.9)), screened(2, 0.6)
    busy = replace(last, status="open", metrics=None, screen="only")

    def idea(history, open_rounds):
        here = replace(base, round=4, history=history, open_rounds=open_rounds)
        return in_bracket(2, lambda told: {"text": "a new one"}, here)

    assert idea(ended, (busy,)) == {"text": "a new one", "screen": "only"}
    whole = (ended[0], last, ended[1])
    assert idea(whole, ())["fork_from"] == ["simulated/2"]
    training = json.loads(idea(whole, ())["hint"])["files"]
    child = PastRound("simulated/4", "open", fork_from=("simulated/2",), files=training)
    assert "fork_from" not in idea(whole, (child,)), "an open round trains it on"


@every_agent
def test_what_was_claimed_before_and_is_not_seen_is_what_the_agent_would_propose_there(simulated, agent):
    world, base = simulated
    player, landscape = world.AGENTS[agent](), world.Landscape(2, base)
    for ended in ([], world.play(player, landscape, 5, 1, seed=2)):
        running = []
        for number in (6, 7, 8):
            past = world.proposed(player, landscape, ended, running, number, 2, "ideas")
            running.append((0.0, number, past))
        assert world.proposed(player, landscape, ended, running[:2], 8, 2, "numbers") == past
        forms = [normal_form(parse(past.files), base) for _, _, past in running]
        assert all(form not in forms[:place] for place, form in enumerate(forms))
