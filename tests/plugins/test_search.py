"""The search agent: a function of what git says, that forks, composes, and gets better with what it learns."""

import json
import random

import pytest
from autoqec_plugins.search.optimiser import mutate
from autoqec_plugins.search.search_agent import SearchAgent
from autoqec_plugins.search.space import choices, parse
from autoqec_plugins.search.templates import TEMPLATES, templates_for

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.asking import ask
from autoqec.candidate.schema import read_candidate, write_candidate
from autoqec.canonical import load_yaml
from autoqec.plugins import load_plugins
from autoqec.testing.sample_notes import some_metrics

REGISTRY = load_plugins()


def stages():
    found = {}
    for entry in REGISTRY.all("stage"):
        kind = entry.create()
        space = {name: list(values) for name, values in kind.space().items()}
        found[entry.name] = {"schema": kind.Config.model_json_schema(), "space": space}
    return found


STAGES = stages()


def context(history=(), seed=1, **fields):
    limits = {"train_shots": 51_200}
    return Context({}, "r-abcd", len(history) + 1, seed, STAGES, limits, history=tuple(history), **fields)


def gain(files):
    """A made-up world in which more iterations, per-check sharing and a learning rate of 0.02 are best."""
    total = 0.001
    for path, text in files.items():
        fields = load_yaml(text, name=path)
        if path.startswith("stages/"):
            total += 0.0002 * min(fields.get("iterations", 0), 12) + 0.001 * (fields.get("sharing") == "per_check")
        if path == "training.yaml":
            total += 0.001 * (fields["learning_rate"] == 0.02)
    return total


def play(rounds, seed=1):
    """Rounds of the agent in the made-up world, validated as the loop validates them."""
    agent, history = SearchAgent(), []
    for number in range(1, rounds + 1):
        now = context(history, seed=seed + number)
        idea = ask(agent, "ideator", now)
        if idea.compose == "pure":
            parents = [past for past in history if past.name in idea.fork_from]
            files = {path: text for past in parents for path, text in past.files.items()}
        else:
            proposal = ask(
                agent, "coder", context(history, seed=seed + number, hypothesis=idea.model_dump(mode="json"))
            )
            sources = {path: text.encode() for path, text in proposal.files.items()}
            written = write_candidate(read_candidate(sources, REGISTRY.maker("stage")))
            files = {path: data.decode() for path, data in written.items()}
        metrics = some_metrics(delta_ler=gain(files), flops_per_shot=1000, params=1, delta_ler_ci=[0, 1])
        history.append(
            PastRound(
                f"r-abcd/{number}", "ok", None, idea.fork_from, idea.compose, idea.text, files, metrics, "candidate"
            )
        )
    return history


def test_it_begins_with_the_templates_and_then_composes_them():
    history = play(3)
    assert [past.hypothesis for past in history[:2]] == [template.text for template in templates_for({})[:2]]
    assert history[2].compose == "pure"
    assert set(history[2].fork_from) == {"r-abcd/1", "r-abcd/2"}


def test_the_same_history_has_the_same_next_proposal():
    assert play(8) == play(8)
    assert play(8) != play(8, seed=2)


def test_later_rounds_fork_never_repeat_and_are_small_changes():
    history = play(20)
    texts = {template.text for template in TEMPLATES}
    assert [bool(past.fork_from) for past in history[2:]] == [past.hypothesis not in texts for past in history[2:]]
    assert sum(past.compose != "none" for past in history) >= 2
    own = [json.dumps(past.files, sort_keys=True) for past in history if past.compose == "none"]
    assert len(set(own)) == len(own)
    by_name = {past.name: past for past in history}
    for past in history[3:]:
        if past.compose == "none" and past.fork_from:
            before, after = by_name[past.fork_from[0]].files, past.files
            changed = sum(
                line not in before[path].splitlines()
                for path in after
                for line in after[path].splitlines()
                if not line.startswith("init:")
            )
            assert 1 <= changed <= 2


def test_related_rounds_are_never_composed():
    history = play(24)
    parents = {past.name: past.fork_from for past in history}

    def ancestors(name):
        return set(parents[name]).union(*(ancestors(p) for p in parents[name])) if parents[name] else set()

    for past in history:
        if past.compose != "none":
            first, second = past.fork_from
            assert first not in ancestors(second)
            assert second not in ancestors(first)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_gets_better_with_what_it_learns(seed):
    history = play(20, seed=seed * 1000)
    assert max(past.metrics.figures.delta_ler for past in history) > history[0].metrics.figures.delta_ler


def test_training_shots_stay_within_the_profile():
    proposal = SearchAgent().reply("ideator", context())
    files = json.loads(proposal["hint"])["files"]
    assert load_yaml(files["training.yaml"], name="t")["shots"] == 51_200


@pytest.mark.parametrize(
    ("interval", "decision"), [([0.001, 0.002], "candidate"), ([-0.001, 0.002], "ignore"), (None, "ignore")]
)
def test_a_verdict_is_asked_for_when_the_gain_is_sure(interval, decision):
    metrics = some_metrics(delta_ler=0.001, delta_ler_ci=interval, shots=1000, ler_candidate=0.01, references={})
    assert ask(SearchAgent(), "analyst", context(metrics=metrics)).decision == decision


def test_it_codes_for_an_ideator_that_gives_no_files():
    hypothesis = {"text": "add something", "hint": "be bold " + str(random.Random(1).random())}
    proposal = ask(SearchAgent(), "coder", context(hypothesis=hypothesis))
    read_candidate({path: text.encode() for path, text in proposal.files.items()}, REGISTRY.maker("stage"))


def test_every_template_is_tried_in_turn_and_only_where_it_belongs():
    history = play(36)
    tried = [past.hypothesis for past in history if not past.fork_from]
    assert tried == [template.text for template in templates_for({"decoder": {"kind": "mwpm"}})]
    hyperedge = templates_for({"decoder": {"kind": "osd"}})
    assert len(TEMPLATES) >= 10
    assert {t.text for t in TEMPLATES} == set(tried) | {t.text for t in hyperedge}
    assert not any(fields["kind"] == "cnn3d" for t in hyperedge for fields in t.stages.values())


def test_code_of_a_candidate_is_kept_when_its_fields_vary():
    module = "import torch\n"
    files = {
        "stages/own/stage.yaml": "kind: custom\nposition: 100\n",
        "stages/own/module.py": module,
        "stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\n",
        "training.yaml": "learning_rate: 0.02\n",
    }
    metrics = some_metrics(delta_ler=0.002, flops_per_shot=1000, params=1, delta_ler_ci=[0, 1])
    past = [
        PastRound(f"r-abcd/{n}", "ok", None, (f"r-abcd/{n - 1}",) if n > 1 else (), "none", "x", files, metrics)
        for n in range(1, 5)
    ]
    idea = ask(SearchAgent(), "ideator", context(past))
    assert idea.fork_from, "it is the turn of a fork"
    assert json.loads(idea.hint)["files"]["stages/own/module.py"] == module


def forked_fields(files, environment=None):
    """The fields that fifty proposals around a candidate change."""
    past = PastRound(
        "r-abcd/1",
        "ok",
        None,
        (),
        "none",
        "",
        files,
        some_metrics(delta_ler=0.1, flops_per_shot=9, params=1),
        "candidate",
    )
    now = Context(environment or {}, "r-abcd", 2, 1, STAGES, {"train_shots": 51_200}, history=(past,))
    return {change.split()[0] for salt in range(50) for change in mutate(past, now, salt)[1]}


def test_fields_without_effect_are_left_alone():
    bp = "stages/bp/stage.yaml"
    assert "memory_value" not in forked_fields(
        {"training.yaml": "init: fresh\n", bp: "kind: neural_bp\nmemory: none\n"}
    )
    fresh = forked_fields({"training.yaml": "shots: 0\n", bp: "kind: neural_bp\nmemory: scalar\nmemory_value: 0.125\n"})
    assert {"memory_value", "scale"} <= fresh
    assert not fresh & {"learning_rate", "batch_size", "loss"}  # nothing is trained
    inherited = forked_fields(
        {"training.yaml": "init: parents\n", bp: "kind: neural_bp\ndamping: scalar\nmemory: scalar\n"}
    )
    assert not inherited & {"memory_value", "scale", "damping_value"}  # all three are learned and come from the parent
    assert "learning_rate" in inherited


def test_the_template_that_flips_says_so_and_its_threshold_varies():
    history = play(60)
    flips = [past for past in history if "mode: hard_flip" in past.files.get("output.yaml", "")]
    assert flips
    assert not flips[0].fork_from
    assert "threshold: 0.8" in flips[0].files["output.yaml"]
    now = context(history)
    assert choices(parse(flips[0].files), now)["output.yaml", "threshold"] == (0.5, 0.8, 0.9, 0.95)
    soft = next(past for past in history if "mode: soft_priors" in past.files.get("output.yaml", ""))
    assert ("output.yaml", "threshold") not in choices(parse(soft.files), now)
