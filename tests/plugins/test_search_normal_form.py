"""Candidates are compared with all their fields: one left out is its default, and another value is another candidate."""

import typing

import pytest
from autoqec_plugins.search.affording import predicted_seconds
from autoqec_plugins.search.evolution import EvolutionAgent
from autoqec_plugins.search.normal_form import normal_form
from autoqec_plugins.search.optimiser import mutate
from autoqec_plugins.search.search_agent import SearchAgent
from autoqec_plugins.search.space import LEFT_ALONE, choices, parse, template_files, was_tried
from autoqec_plugins.search.templates import templates_for
from pydantic_core import PydanticUndefined

from autoqec.agents.agent_contract import PastRound
from autoqec.candidate.schema import Output, Training, read_candidate, write_candidate
from autoqec.canonical import dump_yaml
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.decoding.gate_file import Gate
from autoqec.plugins import load_plugins
from autoqec.testing.agent_context import tiny_context
from autoqec.testing.sample_notes import some_metrics

REGISTRY = load_plugins()
KINDS = {entry.name: entry.create().Config for entry in REGISTRY.all("stage")}
MODELS = {"output.yaml": Output, "training.yaml": Training, "gate.yaml": Gate, "ensemble.yaml": Ensemble}
MODELS |= {f"stages/{kind}/stage.yaml": model for kind, model in KINDS.items()}
OPTIONAL = [
    (path, name)
    for path, model in MODELS.items()
    for name, field in model.model_fields.items()
    if field.default is not PydanticUndefined
]


def whole(path):
    """A file with all its fields at their defaults."""
    kind = {"kind": path.split("/")[1]} if path.startswith("stages/") else {}
    return MODELS[path](**kind).model_dump(mode="json")


def another(path, name):
    """The file with another value in a field, and still valid; None where no other is."""
    fields, annotation = whole(path), MODELS[path].model_fields[name].annotation
    literal = [value for part in (annotation, *typing.get_args(annotation)) for value in typing.get_args(part)]
    for value in (*literal, True, False, 1, 2, 3, 16, 0.25, 0.7, 1.5, "word"):
        if value == fields[name]:
            continue
        try:
            changed = MODELS[path](**fields | {name: value}).model_dump(mode="json")
        except ValueError:
            continue
        if changed[name] != fields[name]:
            return changed
    return None


def past(*parsed, **fields):
    """Past rounds with these files."""
    rounds = (
        PastRound(f"tiny-0000/{n}", "ok", files={path: dump_yaml(each) for path, each in files.items()}, **fields)
        for n, files in enumerate(parsed, start=1)
    )
    return tiny_context(REGISTRY, history=tuple(rounds))


@pytest.mark.parametrize(("path", "name"), OPTIONAL)
def test_a_default_that_is_left_out_is_no_other_candidate_and_another_value_always_is(path, name):
    full = whole(path)
    short = {key: value for key, value in full.items() if key != name}
    if not (path.startswith("stages/") and name == "kind"):
        assert was_tried({path: short}, {}, past({path: full}))
        assert was_tried({path: full}, {}, past({path: short}))
    changed = another(path, name)
    if changed is None:
        return
    for other in (full, short):
        assert not was_tried({path: changed}, {}, past({path: other}))
        assert not was_tried({path: other}, {}, past({path: changed}))


def test_the_property_is_tested_on_other_values_of_nearly_all_fields():
    alone = {(path, name) for path, name in OPTIONAL if another(path, name) is None}
    assert {name for _, name in alone} <= {"kind"}


@pytest.mark.parametrize("path", MODELS)
def test_the_normal_form_has_the_defaults_of_the_model_that_reads_the_file(path):
    kind = {"kind": path.split("/")[1]} if path.startswith("stages/") else {}
    assert normal_form({path: kind}, tiny_context(REGISTRY))[path] == whole(path)


def test_a_file_that_is_left_out_is_its_defaults():
    bp = {"stages/bp/stage.yaml": {"kind": "neural_bp"}}
    files = {
        "output.yaml": whole("output.yaml"),
        "training.yaml": whole("training.yaml"),
        "gate.yaml": whole("gate.yaml"),
    }
    assert was_tried(bp, {}, past({**bp, **files}))
    assert was_tried({**bp, **files}, {}, past(bp))
    assert not was_tried(bp, {}, past({**bp, "gate.yaml": {"short_bp": 8}}))
    for ensemble in (
        {"seed": 1},
        {"members": 1},
    ):  # without the file there is none, not even one of the decoder's own answer
        assert not was_tried(bp, {}, past({**bp, "ensemble.yaml": ensemble}))
        assert was_tried({**bp, "ensemble.yaml": ensemble}, {}, past({**bp, "ensemble.yaml": ensemble}))
    assert not was_tried(bp, {"stages/bp/module.py": "x"}, past(bp))


def test_every_field_of_training_is_varied_or_left_alone_for_a_reason():
    files = {"training.yaml": {"sampling": "gated", "loss": "logical_gap"}}
    varied = {name for _, name in choices(files, past())}
    assert varied.isdisjoint(LEFT_ALONE)
    assert varied | set(LEFT_ALONE) == set(Training.model_fields)


def test_a_field_that_the_file_leaves_out_changes_from_its_default():
    bp = {"stages/bp/stage.yaml": {"kind": "neural_bp"}}
    files = {**bp, "training.yaml": {"loss": "logical_gap", "init": "parents"}}
    now = past(files, metrics=some_metrics(delta_ler=0.1, flops_per_shot=9, params=1))
    changes = [change for salt in range(200) for change in mutate(now.history[0], now, salt)[1]]
    told = [change.split(" ", 1)[1].split(" → ") for change in changes]
    assert all(before not in (after, "None") for before, after in told if before != "None")
    curricula = {change for change in changes if change.startswith("curriculum")}
    assert curricula == {"curriculum 1.0 → 1.5", "curriculum 1.0 → 2.0"}
    assert {c for c in changes if c.startswith("temperature")} == {"temperature one → fitted"}


@pytest.mark.parametrize("agent", [SearchAgent(), EvolutionAgent()])
def test_a_template_of_an_earlier_version_is_not_tried_again(agent):
    """Its stage lacks a field that has come since, and its training one that is written only where it is set."""
    template = templates_for(past().environment)[0]
    files = template_files(template, past())
    parsed = parse(files)
    (stage,) = (path for path in parsed if path.startswith("stages/"))
    earlier = {**parsed, stage: {name: value for name, value in parsed[stage].items() if name != "memory_spread"}}
    assert "memory_spread" in parsed[stage]
    now = past(earlier, metrics=some_metrics(delta_ler=0.1, flops_per_shot=9, params=1))
    assert was_tried(parsed, {}, now)
    assert agent.ideate(now)["text"] != template.text


def test_the_written_form_of_a_candidate_has_the_same_normal_form():
    for template in templates_for(past().environment):
        files = template_files(template, past())
        written = write_candidate(read_candidate({p: t.encode() for p, t in files.items()}, REGISTRY.maker("stage")))
        parsed = parse({path: data.decode() for path, data in written.items()})
        assert normal_form(parsed, past()) == normal_form(parse(files), past())


def test_costs_are_compared_with_the_sizes_that_a_file_leaves_out():
    metrics = some_metrics(delta_ler=0.1, flops_per_shot=9, params=1, train_seconds=10.0, training={"shots": 1024})
    bp = {"kind": "neural_bp"}
    now = past({"stages/bp/stage.yaml": bp | {"iterations": 8}, "training.yaml": {"shots": 1024}}, metrics=metrics)
    default = {"stages/bp/stage.yaml": bp, "training.yaml": {"shots": 1024}}
    assert predicted_seconds(default, now) == pytest.approx(10.0)
