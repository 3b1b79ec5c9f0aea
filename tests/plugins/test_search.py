"""The search agent: a function of what git says, that forks, composes, and gets better with what it learns."""

import json
import random
from dataclasses import replace

import pytest
from autoqec_plugins.search.affording import predicted_seconds, surely_over
from autoqec_plugins.search.optimiser import mutate
from autoqec_plugins.search.search_agent import SearchAgent
from autoqec_plugins.search.space import choices, parse, template_files, was_tried
from autoqec_plugins.search.templates import TEMPLATES, templates_for

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.asking import ask
from autoqec.candidate.installed_stages import formats
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
    return Context(
        fields.pop("environment", {}),
        "r-abcd",
        len(history) + 1,
        seed,
        STAGES,
        limits,
        history=tuple(history),
        **fields,
    )


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


def play(rounds, seed=1, **fields):
    """Rounds of the agent in the made-up world, validated as the loop validates them."""
    agent, history = SearchAgent(), []
    for number in range(1, rounds + 1):
        now = context(history, seed=seed + number, **fields)
        idea = ask(agent, "ideator", now)
        if idea.compose == "pure":
            parents = [past for past in history if past.name in idea.fork_from]
            files = {path: text for past in parents for path, text in past.files.items()}
        else:
            proposal = ask(agent, "coder", replace(now, hypothesis=idea.model_dump(mode="json")))
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


MATCHING = {"environment": {"decoder": {"kind": "mwpm"}, "code": {"distance": 5}}, "formats": formats("gap")}
HYPEREDGE = {"environment": {"decoder": {"kind": "osd"}}, "formats": formats("converged")}
with_solutions = pytest.mark.parametrize("fields", [MATCHING, HYPEREDGE])


@with_solutions
def test_where_the_decoder_offers_solutions_it_opens_with_an_ensemble_and_a_cheaper_sibling_and_merges_them(fields):
    history = play(4, **fields)
    first, with_ensemble, cheaper, both = (parse(past.files) for past in history)
    assert [past.fork_from for past in history[:3]] == [(), ("r-abcd/1",), ("r-abcd/1",)]
    assert (history[3].compose, set(history[3].fork_from)) == ("pure", {"r-abcd/2", "r-abcd/3"})
    ensemble, training = with_ensemble.pop("ensemble.yaml"), with_ensemble.pop("training.yaml")
    assert ensemble["passes"] == (ensemble["members"] if fields is HYPEREDGE else 1)
    assert training["shots"] == 0
    assert with_ensemble == {path: fields for path, fields in first.items() if path != "training.yaml"}
    assert "ensemble.yaml" in both
    assert "ensemble.yaml" not in cheaper
    cheap = next(each for each in templates_for(fields["environment"]) if each.role == "cheap")
    assert history[2].hypothesis == cheap.text
    (stage,) = (path for path in first if path.startswith("stages/"))
    assert stage in cheaper
    assert cheaper[stage]["iterations"] < first[stage]["iterations"]


@with_solutions
def test_weights_that_both_parents_have_come_from_the_one_that_changed_them(fields):
    assert play(4, **fields)[3].fork_from == ("r-abcd/3", "r-abcd/2")


@with_solutions
def test_the_cheap_template_is_not_tried_again_under_its_own_name(fields):
    texts = [past.hypothesis for past in play(30, **fields)]
    cheap = next(each for each in templates_for(fields["environment"]) if each.role == "cheap")
    assert texts.count(cheap.text) == 1


@with_solutions
def test_no_ensemble_is_proposed_where_the_decoder_offers_no_solutions(fields):
    plain = {**fields, "formats": formats("gap", solutions=False)}
    assert not any("ensemble.yaml" in past.files for past in play(20, **plain))


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
            assert 1 <= changed <= 3


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


def first_files(**fields):
    return json.loads(SearchAgent().reply("ideator", context(**fields))["hint"])["files"]


@pytest.mark.parametrize(("distance", "threshold"), [(3, 3.0), (5, 4.4), (7, 5.8), (9, 7.2)])
def test_templates_have_a_gate_that_the_decoder_can_serve(distance, threshold):
    environment = {"decoder": {"kind": "mwpm"}, "code": {"distance": distance}}
    files = first_files(environment=environment, formats=formats("gap"))
    gate, training = (load_yaml(files[name], name=name) for name in ("gate.yaml", "training.yaml"))
    assert gate == {"kind": "gap", "threshold": threshold, "events": 0, "short_bp": 0}
    assert (training["sampling"], training["temperature"]) == ("gated", "fitted")
    read_candidate({path: text.encode() for path, text in files.items()}, REGISTRY.maker("stage"))


def test_templates_have_no_gate_where_the_decoder_has_no_confidence():
    files = first_files(environment={"decoder": {"kind": "mwpm_correlated"}}, formats=formats(None))
    assert "gate.yaml" not in files
    assert "sampling" not in load_yaml(files["training.yaml"], name="t")


def test_a_short_belief_propagation_is_the_gate_of_hyperedges():
    for confidence in (None, "converged"):
        files = first_files(environment={"decoder": {"kind": "osd"}}, formats=formats(confidence))
        gate = load_yaml(files["gate.yaml"], name="g")
        assert (gate["kind"], gate["short_bp"]) == ("none", 8)


def test_fields_of_a_gate_vary_by_what_the_decoder_offers():
    files = {"gate.yaml": "kind: gap\nthreshold: 4.4\nevents: 0\nshort_bp: 0\n", "training.yaml": "shots: 0\n"}
    asks = {"environment": {"decoder": {"kind": "mwpm"}}}
    found = choices(parse(files), context(formats=formats("gap"), **asks))
    assert found["gate.yaml", "kind"] == ("none", "gap")
    assert 4.4 in found["gate.yaml", "threshold"]
    assert {name for _, name in found} == {"kind", "threshold", "events", "short_bp"}
    ungated = {**files, "gate.yaml": files["gate.yaml"].replace("gap", "none")}
    assert ("gate.yaml", "threshold") not in choices(parse(ungated), context(formats=formats("gap"), **asks))
    none = choices(parse(ungated), context(formats=formats(None), **asks))
    assert {name for _, name in none} == {"events", "short_bp"}
    other = choices(parse({"gate.yaml": "kind: sure\n"}), context(formats=formats("sure"), **asks))
    assert other["gate.yaml", "threshold"] == (0.5,)


def test_the_batch_of_a_gated_training_counts_shots_drawn():
    for sampling, batches in (("gated", (640, 1280, 2560)), ("all", (128, 256, 512))):
        text = f"loss: logical_gap\nsampling: {sampling}\n"
        found = choices(parse({"training.yaml": text}), context(environment={"decoder": {"kind": "mwpm"}}))
        assert found["training.yaml", "batch_size"] == batches
        assert (("training.yaml", "sampled_share") in found) is (sampling == "gated")
        assert found["training.yaml", "temperature"] == ("one", "fitted")


def test_another_gate_is_another_candidate():
    bp = {"stages/bp/stage.yaml": "kind: neural_bp\n", "training.yaml": "shots: 0\n"}
    past = PastRound("r-abcd/1", "ok", None, (), "none", "x", {**bp, "gate.yaml": "kind: gap\nthreshold: 4.4\n"})
    assert not was_tried(parse(bp), {}, context([past]))
    assert not was_tried(parse({**bp, "gate.yaml": "kind: gap\nthreshold: 3.0\n"}), {}, context([past]))
    assert was_tried(parse({**bp, "gate.yaml": "kind: gap\nthreshold: 4.4\n"}), {}, context([past]))


@pytest.mark.parametrize(
    ("gate", "over"),
    [
        ("kind: gap\nthreshold: 4.4\n", True),
        ("kind: gap\nthreshold: 5.8\n", True),
        ("kind: none\n", True),
        ("kind: gap\nthreshold: 3.0\n", False),
        ("kind: gap\nthreshold: 4.4\nevents: 5\n", False),
        ("kind: gap\nthreshold: 4.4\nshort_bp: 8\n", False),
        ("kind: other\nthreshold: 9.0\n", False),
    ],
)
def test_a_limit_that_a_gated_round_exceeds_is_exceeded_by_those_that_are_sent_more(gate, over):
    bp = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\n", "training.yaml": "shots: 0\n"}
    metrics = some_metrics(delta_ler=0.01, flops_per_shot=1000, params=1)
    past = PastRound(
        "r-abcd/1", "ok", None, (), "none", "x", {**bp, "gate.yaml": "kind: gap\nthreshold: 4.4\n"}, metrics
    )
    now = context([past], environment={"constraints": {"max_flops_per_shot": 500}})
    assert surely_over(parse({**bp, "gate.yaml": gate}), now) is over


def test_the_time_of_training_follows_the_shots_that_are_computed():
    stage = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\n"}
    metrics = some_metrics(delta_ler=0.01, flops_per_shot=9, params=1, train_seconds=10.0, training={"shots": 20_000})

    def files(share, sampling="gated"):
        return {**stage, "training.yaml": f"shots: 20000\nsampling: {sampling}\nsampled_share: {share}\n"}

    past = PastRound("r-abcd/1", "ok", None, (), "none", "x", files(0.1), metrics)
    assert predicted_seconds(parse(files(0.1)), context([past])) == pytest.approx(10.0)
    assert predicted_seconds(parse(files(0.2)), context([past])) == pytest.approx(20.0)
    assert predicted_seconds(parse(files(0.1, "all")), context([past])) is None


def test_no_template_promises_correlations_that_a_problem_may_lack():
    for template in TEMPLATES:
        assert "correlation" not in (template.text + template.rationale).lower()


def test_labels_are_offered_where_they_change_the_loss():
    def offered(loss, references):
        environment = {"decoder": {"kind": "mwpm"}, "references": references}
        return choices(parse({"training.yaml": f"loss: {loss}\n"}), context(environment=environment)).get(
            ("training.yaml", "labels")
        )

    assert offered("bce", [{"kind": "mwpm_correlated"}]) == ("sampled", "canonical", "distilled")
    assert offered("bce", []) == ("sampled", "canonical")
    assert offered("logical_gap", [{"kind": "mwpm_correlated"}]) == ("sampled", "distilled")
    assert offered("logical_gap", []) is None
    assert not any("labels" in template.training for template in TEMPLATES)
    # Left out means sampled, so to write it down is no change.
    past = PastRound("r-abcd/1", "ok", None, (), "none", "x", {"training.yaml": "loss: bce\n"})
    assert was_tried(parse({"training.yaml": "loss: bce\nlabels: sampled\n"}), {}, context([past]))
    assert not was_tried(parse({"training.yaml": "loss: bce\nlabels: canonical\n"}), {}, context([past]))


@pytest.mark.parametrize(("distance", "threshold", "cheaper"), [(3, 3.0, 2.0), (5, 4.4, 3.0), (7, 5.8, 4.4)])
def test_the_cheap_template_sends_on_fewer_shots_and_computes_less_on_each(distance, threshold, cheaper):
    environment = {"decoder": {"kind": "mwpm"}, "code": {"distance": distance}}
    now = context(environment=environment, formats=formats("gap"))
    first, *others = templates_for(environment)
    (cheap,) = (each for each in others if each.role == "cheap")
    assert others[0] is cheap  # the second round of a run
    whole, less = (parse(template_files(each, now)) for each in (first, cheap))
    assert (whole["gate.yaml"]["threshold"], less["gate.yaml"]["threshold"]) == (threshold, cheaper)
    computed = [
        parsed["training.yaml"]["batch_size"] * parsed["training.yaml"]["sampled_share"] for parsed in (whole, less)
    ]
    assert computed == [128, 64]
    assert less["stages/first_look/stage.yaml"]["iterations"] < whole["stages/bp/stage.yaml"]["iterations"]


def test_the_cheap_template_keeps_a_gate_that_is_no_gap():
    environment = {"decoder": {"kind": "mwpm"}}
    cheap = next(each for each in templates_for(environment) if each.role == "cheap")
    for confidence, threshold in (("sure", 0.5), (None, None)):
        files = parse(template_files(cheap, context(environment=environment, formats=formats(confidence))))
        assert files.get("gate.yaml", {}).get("threshold") == threshold
