"""`search` within limits and budget, and the agents it is compared with: `random`, which learns nothing, and `evolution`."""

import json
from dataclasses import replace

import pytest
from autoqec_plugins.search.affording import allowed, cut_to_time, predicted_seconds, surely_over, violation
from autoqec_plugins.search.evolution import EvolutionAgent
from autoqec_plugins.search.random_agent import RandomAgent
from autoqec_plugins.search.relations import FAILED, aims, usable
from autoqec_plugins.search.search_agent import SearchAgent
from autoqec_plugins.search.space import choices, parse

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.asking import ask
from autoqec.candidate.schema import read_candidate, write_candidate
from autoqec.canonical import load_yaml
from autoqec.loop.agent_contexts import stage_kinds
from autoqec.plugins import load_plugins
from autoqec.testing.sample_notes import some_metrics

REGISTRY = load_plugins()
STAGES = stage_kinds(REGISTRY)
AGENTS = {"search": SearchAgent, "random": RandomAgent, "evolution": EvolutionAgent}
every_agent = pytest.mark.parametrize("agent", list(AGENTS))


def context(history=(), seed=1, environment=None, limits=None, **fields):
    limits = {"train_shots": 51_200, "train_seconds": 300.0} | (limits or {})
    return Context(environment or {}, "r-abcd", len(history) + 1, seed, STAGES, limits, tuple(history), **fields)


def canonical(files):
    written = write_candidate(read_candidate({p: t.encode() for p, t in files.items()}, REGISTRY.maker("stage")))
    return {path: data.decode() for path, data in written.items()}


def iterations(files):
    return sum(load_yaml(text, name=path).get("iterations", 0) for path, text in files.items() if "stage" in path)


def figures(files, gain=None, **more):
    """A made-up world in which gain and cost grow with the iterations, and so does the time that training takes."""
    size = iterations(files)
    gain = 0.0001 * min(size, 12) if gain is None else gain
    return some_metrics(
        delta_ler=gain, delta_ler_ci=[gain - 0.0005, gain + 0.0005], flops_per_shot=1000 * (1 + size),
        params=100 + size, ler_candidate=0.014 - gain, train_seconds=1.0 + size, training={"shots": 51_200}, **more,
    )  # fmt: skip


def past(number, files, parents=(), compose="none", gain=None, **fields):
    name = f"r-abcd/{number}"
    return PastRound(name, "ok", None, tuple(parents), compose, "an idea", files, figures(files, gain), **fields)


def played(agent, rounds, seed=1, gain=None, **fields):
    """Rounds of an agent in the made-up world, its replies validated as the loop validates them."""
    history = []
    for number in range(1, rounds + 1):
        now = context(history, seed=1000 * seed + number, **fields)
        idea = ask(AGENTS[agent](), "ideator", now)
        if idea.compose == "pure":
            files = {p: t for each in history if each.name in idea.fork_from for p, t in each.files.items()}
        else:
            told = replace(now, hypothesis=idea.model_dump(mode="json"))
            files = canonical(ask(AGENTS[agent](), "coder", told).files)
        history.append(past(number, files, idea.fork_from, idea.compose, gain))
    return history


@every_agent
def test_the_same_context_has_the_same_reply_and_another_seed_another(agent):
    assert played(agent, 6) == played(agent, 6)
    assert played(agent, 6) != played(agent, 6, seed=2)


@every_agent
def test_nothing_is_proposed_twice(agent):
    history = played(agent, 16)
    own = [json.dumps(each.files, sort_keys=True) for each in history if each.compose == "none"]
    assert len(set(own)) == len(own)


def test_random_does_not_look_at_results():
    assert [each.files for each in played("random", 8, gain=0.004)] == [
        each.files for each in played("random", 8, gain=-0.01)
    ]
    history = played("random", 4)
    judged = [replace(each, verdict="VERIFIED", holdout=figures({}, 0.009), decision="candidate") for each in history]
    failed = [replace(each, status="train_error", metrics=None) for each in history]
    replies = [RandomAgent().reply("ideator", context(rounds, seed=9)) for rounds in (history, judged, failed)]
    assert replies[0] == replies[1] == replies[2]


def test_random_draws_from_all_templates_and_all_values_of_their_fields():
    seen, kinds = {}, set()
    for seed in range(300):
        idea = RandomAgent().reply("ideator", context(seed=seed))
        files = json.loads(idea["hint"])["files"]
        parsed = parse(files)
        kinds.add(idea["text"])
        for (path, field), values in choices(parsed, context()).items():
            assert parsed[path][field] in values
            if path.startswith("stages/bp/") or path == "training.yaml":
                seen.setdefault((path, field), set()).add(parsed[path][field])
    assert len(kinds) >= 6
    assert seen["training.yaml", "loss"] == {"bce", "focal", "weighted_bce", "logical_gap"}
    assert len(seen["stages/bp/stage.yaml", "iterations"]) == 10
    for seed in range(5):
        files = json.loads(RandomAgent().reply("ideator", context(seed=seed))["hint"])["files"]
        canonical(files)


def test_evolution_mutates_one_field_of_a_winner_and_crosses_over_by_merges():
    history = played("evolution", 14)
    assert all(not each.fork_from for each in history[:2])
    assert any(each.compose == "pure" for each in history)
    by_name = {each.name: each for each in history}
    for each in history:
        if each.compose == "none" and each.fork_from:
            before, after = parse(by_name[each.fork_from[0]].files), parse(each.files)
            changed = [(p, f) for p in after for f in after[p] if f != "init" and after[p][f] != before[p].get(f)]
            assert len(changed) == 1


def test_old_rounds_are_no_parents_in_evolution():
    history = played("evolution", 20)
    alive = {each.name for each in history[-12:]}
    for seed in range(12):
        idea = EvolutionAgent().reply("ideator", context(history, seed=seed))
        assert set(idea.get("fork_from", ())) <= alive


@every_agent
def test_a_compose_is_not_proposed_again_where_it_conflicted(agent):
    one, two = (
        canonical({f"stages/{slug}/stage.yaml": "kind: neural_bp\niterations: 8\n", "training.yaml": "shots: 512\n"})
        for slug in ("a", "b")
    )
    history = [past(1, one), past(2, two)]
    idea = AGENTS[agent]().reply("ideator", context(history))
    assert (idea.get("compose") == "pure") == (agent != "random")
    again = AGENTS[agent]().reply("ideator", context(history, failed_composes=(("r-abcd/1", "r-abcd/2"),)))
    assert again.get("compose", "none") == "none"


@every_agent
def test_rounds_that_disagree_are_not_merged(agent):
    base = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\n", "training.yaml": "shots: 512\n"}
    ours = base | {"training.yaml": "shots: 512\nlearning_rate: 0.1\n"}
    theirs = base | {"training.yaml": "shots: 512\nlearning_rate: 0.003\n"}
    beside = base | {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 10\n"}
    for other, merged in (theirs, False), (beside, agent != "random"):
        history = [
            past(1, canonical(base)),
            past(2, canonical(ours), ["r-abcd/1"]),
            past(3, canonical(other), ["r-abcd/1"]),
        ]
        assert (AGENTS[agent]().reply("ideator", context(history)).get("compose") == "pure") == merged


@every_agent
def test_what_is_known_to_be_over_a_limit_is_not_proposed(agent):
    limit = {"constraints": {"max_params": None, "max_flops_per_shot": 9_500, "target_ler": None}}
    bp = "kind: neural_bp\niterations: {}\n"
    heavy, light = (canonical({"stages/bp/stage.yaml": bp.format(n), "training.yaml": "shots: 512\n"}) for n in (10, 5))
    history = [past(1, heavy), past(2, light)]
    for seed in range(40):
        idea = AGENTS[agent]().reply("ideator", context(history, seed=seed, environment=limit))
        assert "r-abcd/1" not in idea.get("fork_from", ()), "it is over the limit, and no parent"
        if "hint" in idea:
            assert not surely_over(parse(json.loads(idea["hint"])["files"]), context(history, environment=limit))


def test_larger_than_what_is_over_a_limit_is_over_it_too():
    now = context(environment={"constraints": {"max_params": 105}})
    files = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\n", "training.yaml": "shots: 512\n"}
    history = [past(1, canonical(files))]
    now = context(history, environment={"constraints": {"max_params": 105}})
    parsed = parse(history[0].files)
    assert surely_over(parsed, now)
    for changes, over in ({"iterations": 12}, True), ({"iterations": 5}, False), ({"sharing": "none"}, False):
        other = {**parsed, "stages/bp/stage.yaml": parsed["stages/bp/stage.yaml"] | changes}
        assert surely_over(other, now) == over


def test_a_violation_grows_with_the_excess_and_counts_the_target():
    small, large = (
        past(n, canonical({"stages/bp/stage.yaml": f"kind: neural_bp\niterations: {size}\n"}))
        for n, size in ((1, 5), (2, 12))
    )
    now = context(environment={"constraints": {"max_flops_per_shot": 2000}})
    assert 0 < violation(small, now) < violation(large, now)
    assert violation(large, context(environment={"constraints": {"target_ler": 0.013}})) == 0
    assert violation(small, context(environment={"constraints": {"target_ler": 0.013}})) > 0
    assert violation(small, context()) == 0


@every_agent
def test_training_that_does_not_fit_is_cut_or_not_proposed(agent):
    history = played(agent, 3)
    for limits, budget in ({"train_seconds": 4.0}, {}), ({}, {"seconds": 4.0}):
        for seed in range(10):
            now = context(history, seed=seed, limits=limits, budget=budget)
            idea = AGENTS[agent]().reply("ideator", now)
            if "files" in idea.get("hint", ""):
                needed = predicted_seconds(parse(json.loads(idea["hint"])["files"]), now)
                assert needed is None or needed <= 4.0 * 1.001


def test_what_was_killed_is_not_proposed_again_or_larger():
    bp = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\n", "training.yaml": "shots: 51200\nloss: bce\n"}
    now = context([replace(past(1, canonical(bp)), status="killed_by_safety", metrics=None)])
    parsed = parse(now.history[0].files)

    def changed(path, **fields):
        return {**parsed, path: parsed[path] | fields}

    stage = "stages/bp/stage.yaml"
    assert not allowed(changed("training.yaml", learning_rate=0.1), now)
    assert not allowed(changed(stage, iterations=12), now)
    assert cut_to_time(changed(stage, iterations=12), now) is None
    assert allowed(changed(stage, iterations=5), now)
    assert allowed(changed("training.yaml", shots=25_600), now)
    assert allowed(changed("training.yaml", sampling="gated"), now)  # it computes an eighth of the shots


def test_time_is_predicted_from_the_nearest_round_alike():
    files = canonical({"stages/bp/stage.yaml": "kind: neural_bp\niterations: 9\n", "training.yaml": "shots: 51200\n"})
    now = context([past(1, files)])
    parsed = parse(files)
    assert predicted_seconds(parsed, now) == pytest.approx(10.0)
    half = {**parsed, "training.yaml": parsed["training.yaml"] | {"shots": 25_600}}
    assert predicted_seconds(half, now) == pytest.approx(5.0)
    twice = {**parsed, "stages/bp/stage.yaml": parsed["stages/bp/stage.yaml"] | {"iterations": 18}}
    assert predicted_seconds(twice, now) == pytest.approx(20.0)
    other = {**parsed, "stages/bp/stage.yaml": {"kind": "mlp", "hidden": 16}}
    assert predicted_seconds(other, now) is None


@every_agent
def test_rounds_in_one_command_or_in_many_are_the_same_run(agent):
    for history in ([], played(agent, 2), played(agent, 3)):
        alone, among = (AGENTS[agent]().reply("ideator", context(history, budget={"rounds": left})) for left in (1, 5))
        assert alone == among


def test_development_figures_count_for_a_seed_gives_them_again_and_who_was_found_out_is_no_parent():
    files = canonical({"stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\n"})
    lucky = past(
        1, files, verdict="VERIFIED", holdout={"delta_ler": 0.0001, "flops_per_shot": 1, "params": 1}, gain=0.005
    )
    assert aims(lucky) == aims(past(2, files, gain=0.005))
    assert aims(lucky)[0] == 0.005 / lucky.metrics.figures.ler_baseline
    unlucky = past(3, files, verdict="SUSPICIOUS", verdict_reason="decoder_gain", gain=0.02)
    found_out = past(4, files, verdict="SUSPICIOUS", verdict_reason="batch_dependent", gain=0.02)
    assert [each.name for each in usable(context([lucky, unlucky, found_out]))] == ["r-abcd/1", "r-abcd/3"]
    assert aims(found_out) == FAILED, "an estimator learns that it gained nothing"


@every_agent
def test_no_verdict_is_asked_for_above_a_limit(agent):
    metrics = figures({}, 0.003, shots=1000)
    assert ask(AGENTS[agent](), "analyst", context(metrics=metrics)).decision == "candidate"
    limit = {"constraints": {"max_params": 50}}
    analysis = ask(AGENTS[agent](), "analyst", context(metrics=metrics, environment=limit))
    assert analysis.decision == "ignore"
    assert "params" in analysis.summary
