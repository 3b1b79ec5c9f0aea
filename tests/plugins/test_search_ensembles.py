"""The part of the search space that is an ensemble: where it is, which fields it has, what it costs, and when it is trained."""

import json
from dataclasses import replace

import pytest
from autoqec_plugins.search.affording import allowed, predicted_judging_seconds, surely_over
from autoqec_plugins.search.ensemble_space import ENSEMBLE, FIRST_ENSEMBLE, LEFT_ALONE_IN_ENSEMBLES, set_field
from autoqec_plugins.search.evolution import EvolutionAgent
from autoqec_plugins.search.optimiser import mutate
from autoqec_plugins.search.random_agent import RandomAgent
from autoqec_plugins.search.retraining import trained_if_needed, with_training
from autoqec_plugins.search.search_agent import SearchAgent
from autoqec_plugins.search.space import choices, parse, unparse

from autoqec.agents.agent_contract import PastRound
from autoqec.candidate.installed_stages import formats
from autoqec.candidate.schema import read_candidate, write_candidate
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.plugins import load_plugins
from autoqec.testing.agent_context import tiny_context
from autoqec.testing.sample_notes import some_metrics

REGISTRY = load_plugins()
ENVIRONMENTS = {"matching": {"decoder": {"kind": "mwpm"}}, "hyperedge": {"decoder": {"kind": "osd"}}}
PATH = "ensemble.yaml"
BP = {
    "gate.yaml": {"kind": "gap", "threshold": 3.0},
    "stages/bp/stage.yaml": {"kind": "neural_bp", "iterations": 4},
    "training.yaml": {"init": "parents", "shots": 1024},
}
UNTRAINED = {"init": "parents", "shots": 0}


def canonical(parsed):
    """The files as a round has them, with all their fields."""
    files = {path: text.encode() for path, text in unparse(parsed).items()}
    written = write_candidate(read_candidate(files, REGISTRY.maker("stage")))
    return {path: data.decode() for path, data in written.items()}


def past(number, parsed, parents=(), **changes):
    metrics = some_metrics(delta_ler=0.001, flops_per_shot=1000, params=10, **changes.pop("metrics", {}))
    return PastRound(
        f"tiny-0000/{number}", "ok", None, tuple(parents), "none", "x", canonical(parsed), metrics, **changes
    )


def context(*history, family="matching", **fields):
    return tiny_context(
        REGISTRY, history=history, round=len(history) + 1, **{"environment": ENVIRONMENTS[family], **fields}
    )


def ensemble(family="matching", **changes):
    return {**BP, PATH: {**FIRST_ENSEMBLE[family], **changes}}


def open_fields(parsed, **fields):
    return {name: values for (path, name), values in choices(parsed, context(**fields)).items() if path == PATH}


@pytest.mark.parametrize("family", ENVIRONMENTS)
def test_all_values_of_all_fields_are_valid_and_each_field_is_varied_or_left_alone_for_a_reason(family):
    assert ENSEMBLE.keys() | LEFT_ALONE_IN_ENSEMBLES.keys() == set(Ensemble.model_fields)
    assert ENSEMBLE.keys().isdisjoint(LEFT_ALONE_IN_ENSEMBLES)
    for name, values in ENSEMBLE.items():
        for value in values:
            parsed = ensemble(family)
            set_field(parsed, PATH, name, value, context(family=family))
            canonical(parsed)
        assert FIRST_ENSEMBLE[family].get(name, values[0]) in values, "an estimator knows only values of the space"


def test_a_candidate_without_an_ensemble_can_get_one_where_the_decoder_offers_solutions():
    assert open_fields(BP) == {"members": ENSEMBLE["members"]}
    assert open_fields(BP, formats=formats("gap", solutions=False)) == {}
    assert open_fields(ensemble(), formats=formats("gap", solutions=False)) == {}
    assert open_fields({"training.yaml": {"shots": 0}}) == {}, "an ensemble needs a pipeline"
    for family, passes in (("matching", 1), ("hyperedge", 8)):
        parsed = dict(BP)
        set_field(parsed, PATH, "members", 8, context(family=family))
        assert parsed[PATH] == {**FIRST_ENSEMBLE[family], "members": 8, "passes": passes}
        set_field(parsed, PATH, "members", 0, context(family=family))
        assert parsed == BP
        set_field(parsed, PATH, "margin", 2.0, context(family=family))
        assert parsed == BP, "it has no ensemble"


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        ({"passes": 1}, {"prior_spread"}),
        ({"passes": 32}, {"belief_spread"}),
        ({"passes": 2, "select": "least_weight"}, {"gap_share"}),
        ({"passes": 2, "agree": 0}, {"margin"}),
        ({"passes": 2}, set()),
    ],
)
def test_fields_of_an_ensemble_without_effect_are_left_alone(changes, silent):
    assert ENSEMBLE.keys() - open_fields(ensemble(**changes)).keys() == silent


def test_no_more_passes_or_agreeing_members_are_proposed_than_there_are_members():
    found = open_fields(ensemble(members=8))
    assert found["passes"] == (1, 2, 4, 8)
    assert found["agree"] == (0, 3, 4, 6, 8)
    parsed = ensemble(members=24, passes=16, agree=16)
    set_field(parsed, PATH, "members", 8, context())
    assert (parsed[PATH]["passes"], parsed[PATH]["agree"]) == (8, 8)


def test_one_class_a_member_has_no_gap_to_share():
    assert "gap_share" not in open_fields(ensemble("hyperedge", passes=8), family="hyperedge")


@pytest.mark.parametrize("agent", [SearchAgent, EvolutionAgent, RandomAgent])
def test_every_agent_tries_ensembles_and_only_valid_ones(agent):
    seen = set()
    for seed in range(40):
        now = context(
            past(1, BP),
            past(2, ensemble(), ["tiny-0000/1"]),
            past(3, BP | {"output.yaml": {"threshold": 0.9}}),
            past(4, BP | {"output.yaml": {"threshold": 0.8}}),
            seed=seed,
        )
        idea = agent().reply("ideator", now)
        if "hint" in idea:
            files = json.loads(idea["hint"])["files"]
            read_candidate({path: text.encode() for path, text in files.items()}, REGISTRY.maker("stage"))
            seen.add(PATH in files)
    assert True in seen


def test_a_change_of_the_ensemble_alone_is_not_trained_and_any_other_is():
    first, second = past(1, BP), past(2, ensemble(), ["tiny-0000/1"])
    for parent, before in ((first, BP), (second, {**ensemble(), "training.yaml": UNTRAINED})):
        for changed, trained in (
            ({PATH: {**FIRST_ENSEMBLE["matching"], "members": 8}}, False),
            (
                {PATH: {**FIRST_ENSEMBLE["matching"], "members": 8}, "gate.yaml": {"kind": "gap", "threshold": 9.0}},
                True,
            ),
            ({"stages/bp/stage.yaml": {"kind": "neural_bp", "iterations": 5}}, True),
            ({"training.yaml": {"init": "parents", "shots": 1024, "learning_rate": 0.05}}, True),
        ):
            fork = parse(canonical({**before, "training.yaml": BP["training.yaml"], **changed}))
            assert trained_if_needed(fork, parent)["training.yaml"]["shots"] == (1024 if trained else 0)


def test_a_fork_of_what_was_not_trained_is_trained_as_its_ancestor_was():
    untrained = {**ensemble(), "training.yaml": UNTRAINED}
    first, second = past(1, BP), past(2, untrained, ["tiny-0000/1"])
    now = context(first, second)
    assert with_training(second, now)["training.yaml"]["shots"] == 1024
    assert with_training(first, now) == parse(first.files)
    alone = past(1, untrained)
    assert with_training(alone, context(alone))["training.yaml"]["shots"] == 0
    for salt in range(40):
        parsed, changes = mutate(second, now, salt)
        only = all(parsed.get(path) == fields for path, fields in parse(second.files).items() if path != PATH)
        assert not changes or (parsed["training.yaml"]["shots"] == 0) == only, changes


@pytest.mark.parametrize(
    ("changes", "over"),
    [
        ({"passes": 4}, True),
        ({"passes": 8}, True),
        ({"passes": 8, "members": 32}, True),
        ({"passes": 2}, False),
        ({"passes": 8, "agree": 8}, False),
        (None, False),
    ],
)
def test_a_limit_that_an_ensemble_exceeds_is_exceeded_by_those_that_ask_as_often(changes, over):
    environment = {**ENVIRONMENTS["matching"], "constraints": {"max_flops_per_shot": 500}}
    now = context(past(1, ensemble(passes=4)), environment=environment)
    assert surely_over(parse(canonical(BP if changes is None else ensemble(**changes))), now) is over


def test_an_ensemble_is_over_the_limit_that_its_pipeline_exceeds_alone():
    environment = {**ENVIRONMENTS["matching"], "constraints": {"max_flops_per_shot": 500}}
    assert surely_over(parse(canonical(ensemble())), context(past(1, BP), environment=environment))


def test_the_time_of_scoring_grows_with_passes_and_members_and_must_be_left():
    latency = {"plain": 10.0, "gate": 4.0, "predict": 4.0, "decode": 2.0, "baseline": 0.0}
    single = past(1, BP, seconds=25.0, metrics={"train_seconds": 5.0, "latency_us": latency})
    many = parse(canonical(ensemble(members=8, passes=2)))
    assert predicted_judging_seconds(parse(canonical(BP)), context(single)) == pytest.approx(20.0)
    assert predicted_judging_seconds(many, context(single)) == pytest.approx(20.0 * (14 + 2 * 4 + 8 * 2) / 20)
    other = parse(canonical({**BP, "gate.yaml": {"kind": "gap", "threshold": 9.0}}))
    assert predicted_judging_seconds(other, context(single)) is None
    for seconds, fits in ((37.0, False), (39.0, True)):
        assert allowed(many, replace(context(single), budget={"seconds": seconds})) is fits
