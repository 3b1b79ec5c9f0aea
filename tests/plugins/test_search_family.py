"""What the search knows beside its run's closed rounds: rounds of its family, and rounds that are open now."""

import json
from dataclasses import replace

import numpy as np
import pytest
from autoqec_plugins.search.ensemble_space import FIRST_ENSEMBLE
from autoqec_plugins.search.family import family_recipe
from autoqec_plugins.search.gain_model import GainModel, noise_of
from autoqec_plugins.search.optimiser import fields_per_round, mutate
from autoqec_plugins.search.random_agent import RandomAgent
from autoqec_plugins.search.relations import merged, pairs_to_compose, relative_gain
from autoqec_plugins.search.search_agent import SearchAgent
from autoqec_plugins.search.space import parse, template_files, templates_here, unparse

from autoqec.agents.agent_contract import FamilyRound, PastRound
from autoqec.candidate.installed_stages import formats
from autoqec.canonical import load_yaml
from autoqec.plugins import load_plugins
from autoqec.results.counts import PairedCounts
from autoqec.testing.agent_context import tiny_context
from autoqec.testing.sample_notes import some_metrics

REGISTRY = load_plugins()
CODE = {"kind": "stim_generated", "task": "surface_code:rotated_memory_z"}
D5, D7 = (
    {"name": f"d{d}", "decoder": {"kind": "mwpm"}, "code": CODE | {"distance": d, "rounds": d}, "references": []}
    for d in (5, 7)
)


def context(environment=D7, **fields):
    known = {"formats": formats("gap", solutions=True), "limits": {"train_shots": 409_600}} | fields
    return tiny_context(
        REGISTRY, environment=environment, run="r-abcd", round=len(known.get("history", ())) + 1, **known
    )


def past(name, files, relative, parents=(), flops=1000, compose="none", **more):
    rate = 0.01
    metrics = some_metrics(
        delta_ler=rate * relative,
        ler_baseline=rate,
        ler_candidate=rate * (1 - relative),
        flops_per_shot=flops,
        params=10,
        **more,
    )
    return PastRound(name, "ok", None, tuple(parents), compose, f"idea {name}", files, metrics)


def first(environment=D5):
    now = context(environment)
    return template_files(templates_here(now)[0], now)


def with_ensemble(files, **changes):
    parsed = parse(files)
    training = parsed["training.yaml"] | {"shots": 0}
    return unparse({**parsed, "training.yaml": training, "ensemble.yaml": FIRST_ENSEMBLE["matching"] | changes})


#: Two rounds at distance 5: a template, and a fork of it with an ensemble that is not trained further.
FAMILY = (
    FamilyRound(D5, past("d5/1", first(), 0.3)),
    FamilyRound(D5, past("d5/2", with_ensemble(first(), members=24), 0.4, parents=("d5/1",))),
)


def files_of(idea):
    return {path: load_yaml(text, name=path) for path, text in json.loads(idea["hint"])["files"].items()}


def test_a_first_round_starts_from_the_best_recipe_of_its_family():
    idea = SearchAgent().reply("ideator", context(family=FAMILY))
    files = files_of(idea)
    assert "d5/2" in idea["text"]
    assert "40%" in idea["rationale"]
    assert not idea.get("fork_from"), "a round of another environment is no parent"
    assert files["ensemble.yaml"]["members"] == 24
    assert files["gate.yaml"]["threshold"] == 5.8, (
        "of this distance: it sends on as many shots as 4.4 does at the other"
    )
    # The best round has inherited weights, which do not fit here; so its recipe is trained as this environment's first template.
    assert files["training.yaml"]["shots"] == load_yaml(first(D7)["training.yaml"], name="t")["shots"] > 0
    assert SearchAgent().reply("ideator", context(family=FAMILY)) == idea


def test_without_a_good_round_of_the_family_or_once_a_round_is_there_the_templates_begin():
    template = templates_here(context())[0].text
    bad = tuple(FamilyRound(D5, past(each.past.name, each.past.files, -0.1)) for each in FAMILY)
    for family in ((), bad):
        assert SearchAgent().reply("ideator", context(family=family))["text"] == template
    unknown = FamilyRound(D5, past("d5/3", {"stages/x/stage.yaml": "kind: not_here\n"}, 0.9))
    assert "d5/2" in SearchAgent().reply("ideator", context(family=(*FAMILY, unknown)))["text"]
    begun = past("r-abcd/1", with_ensemble(first(D7)), 0.3)
    assert "recipe" not in SearchAgent().reply("ideator", context(history=(begun,), family=FAMILY))["text"]
    assert "recipe" not in RandomAgent().reply("ideator", context(family=FAMILY))["text"]


@pytest.mark.parametrize("text", ["[1,2", "- 1\n", "a: &a [1]\nb: *a\n"])
@pytest.mark.parametrize("agent", [SearchAgent, RandomAgent])
def test_no_search_ends_at_a_round_whose_files_cannot_be_read(agent, text):
    damaged = past("d5/3", first() | {"gate.yaml": text}, 0.9)
    assert agent().reply("ideator", context(family=(*FAMILY, FamilyRound(D5, damaged))))["text"]
    assert agent().reply("ideator", context(history=(replace(damaged, name="r-abcd/1"),)))["text"]


def test_a_recipe_that_another_process_tries_now_is_not_proposed():
    idea = family_recipe(context(family=FAMILY))
    busy = PastRound("r-abcd/2", "open", files=json.loads(idea["hint"])["files"])
    assert "d5/1" in family_recipe(context(family=FAMILY, open_rounds=(busy,)))["text"]


def test_what_is_open_is_not_proposed_again():
    now = context(D5)
    idea = SearchAgent().reply("ideator", now)
    busy = PastRound("r-abcd/2", "open", files=json.loads(idea["hint"])["files"])
    second = SearchAgent().reply("ideator", replace(now, open_rounds=(busy,)))
    assert second["text"] != idea["text"]
    history = (past("r-abcd/1", first(), 0.3), past("r-abcd/2", with_ensemble(first()), 0.4, ("r-abcd/1",)))
    cheaper = SearchAgent().reply("ideator", context(D5, history=history))
    busy = PastRound("r-abcd/4", "open", files=json.loads(cheaper["hint"])["files"], fork_from=("r-abcd/1",))
    assert SearchAgent().reply("ideator", context(D5, history=history, open_rounds=(busy,)))["hint"] != cheaper["hint"]


def test_a_merge_that_is_open_is_not_proposed_again():
    one, other = (past(f"r-abcd/{n}", {f"stages/{n}/stage.yaml": f"kind: mlp\nhidden: {n}\n"}, 0.1) for n in (1, 2))
    now = context(D5, history=(one, other))
    assert list(pairs_to_compose([one, other], now)) == [(one, other)]
    busy = PastRound("r-abcd/3", "open", fork_from=("r-abcd/2", "r-abcd/1"), compose="pure")
    assert not list(pairs_to_compose([one, other], replace(now, open_rounds=(busy,))))


def test_the_estimator_takes_rounds_of_the_family_as_trials():
    history = (past("r-abcd/1", with_ensemble(first(D7)), 0.3),)
    alone, taught = context(history=history), context(history=history, family=FAMILY * 6)
    proposals = [[mutate(history[0], now, salt)[1] for salt in range(12)] for now in (alone, taught)]
    assert proposals[0] != proposals[1]
    assert proposals[1] == [mutate(history[0], taught, salt)[1] for salt in range(12)]


def test_forks_change_many_fields_first_and_few_later():
    rounds = [past(f"r-abcd/{n}", first(), 0.3, parents=("r-abcd/1",) if n > 1 else ()) for n in range(1, 20)]
    counts = [fields_per_round(context(D5, history=tuple(rounds[:n]))) for n in range(1, 20)]
    assert (counts[0], counts[-1]) == (3, 1)
    assert counts == sorted(counts, reverse=True)


def test_the_model_expects_most_where_rounds_gained_here_or_in_the_family():
    plain, members = first(D7), with_ensemble(first(D7))
    flipped = {**plain, "stages/bp/stage.yaml": plain["stages/bp/stage.yaml"].replace("sum_product", "min_sum")}
    assert flipped != plain
    history = (past("r-abcd/1", plain, 0.3), past("r-abcd/2", members, 0.4), past("r-abcd/3", flipped, 0.2))
    here = GainModel(context(history=history))
    expected = [here.predict(parse(files))[0] for files in (flipped, plain, members)]
    assert expected == sorted(expected)
    both = {**members, "stages/bp/stage.yaml": flipped["stages/bp/stage.yaml"]}
    assert here.predict(parse(both))[0] < expected[2], "what lost alone is expected to lose with an ensemble too"
    assert here.predict(parse(members))[1] < here.predict(parse(both))[1]
    from_family = GainModel(context(history=history[:1], family=FAMILY))
    gain = from_family.predict(parse(members))[0] - from_family.predict(parse(plain))[0]
    alone = GainModel(context(history=history[:1]))
    assert gain > alone.predict(parse(members))[0] - alone.predict(parse(plain))[0] + 0.02
    found_out = replace(past("r-abcd/4", members, 0.9), verdict_reason="batch_dependent")
    assert GainModel(context(history=(*history, found_out))).predict(parse(members)) == here.predict(parse(members))


def test_the_noise_of_a_round_follows_from_its_counts():
    counts = PairedCounts(shots=65_536, both=400, baseline_only=500, candidate_only=150)
    noises = [
        noise_of(
            past(
                "r-abcd/1",
                first(),
                0.3,
                counts=PairedCounts(*(n * each for each in counts.to_dict().values())).to_dict(),
            )
        )
        for n in (1, 4)
    ]
    assert noises[0] == pytest.approx(2 * noises[1], rel=1e-6)
    share = [each / 65_536 for each in (400, 500, 150)]
    drawn = np.random.default_rng(1).multinomial(65_536, [*share, 1 - sum(share)], size=4000)
    ratios = (drawn[:, 0] + drawn[:, 2]) / (drawn[:, 0] + drawn[:, 1])
    assert noises[0] == pytest.approx(ratios.std(), rel=0.04)


def test_gains_compare_by_their_share_of_the_plain_decoders_rate():
    small = some_metrics(delta_ler=0.0008, ler_baseline=0.002, ler_candidate=0.0012)
    assert relative_gain(PastRound("x/1", "ok", metrics=small)) == pytest.approx(0.4)
    never = some_metrics(delta_ler=0.0, ler_baseline=0.0, ler_candidate=0.0, ler_ratio=None)
    assert relative_gain(PastRound("x/1", "ok", metrics=never)) == 0.0


def test_the_next_template_gets_the_ensemble_and_the_gate_of_the_best_round():
    best = {**with_ensemble(first(), members=32), "gate.yaml": "kind: gap\nthreshold: 5.8\nevents: 0\nshort_bp: 0\n"}
    history = tuple(past(f"r-abcd/{n}", best if n == 2 else first(), 0.4 if n == 2 else 0.3) for n in range(1, 7))
    # Each is a child of the one before, so that there is nothing to compose.
    history = tuple(replace(each, fork_from=(f"r-abcd/{n}",) if n else ()) for n, each in enumerate(history))
    idea = SearchAgent().reply("ideator", context(D5, history=history))
    assert idea["text"] in {template.text for template in templates_here(context(D5))}
    files = files_of(idea)
    assert files["ensemble.yaml"]["members"] == 32
    assert files["gate.yaml"]["threshold"] == 5.8


def test_a_merge_is_foreseen_as_git_makes_it():
    base = {"a.yaml": "x: 1\ny: 1\n", "gone.yaml": "z: 1\n"}
    one = past("r-abcd/2", {"a.yaml": "x: 2\ny: 1\n", "new.yaml": "n: 1\n", "gone.yaml": "z: 1\n"}, 0.1, ("r-abcd/1",))
    two = past("r-abcd/3", {"a.yaml": "x: 1\ny: 3\n"}, 0.1, ("r-abcd/1",))
    now = context(D5, history=(past("r-abcd/1", base, 0.1), one, two))
    for pair in ((one, two), (two, one)):
        assert merged(pair, now) == {"a.yaml": {"x": 2, "y": 3}, "new.yaml": {"n": 1}}
