"""No sentence of pydantic's reaches a person: every error of every model names the field, what it may be, and what was found."""

import importlib
import math
import re
from functools import cache
from pathlib import Path

import autoqec_plugins
import pydantic_core
import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails

import autoqec
from autoqec.allowed_values import PATTERNS, schema_of
from autoqec.candidate.schema import Training
from autoqec.config import load_settings
from autoqec.errors import UsageError
from autoqec.field_problems import explain, field_problems, first_problem
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Environment, validated

#: How pydantic speaks of a value.
RAW = re.compile(
    r"Input should|Extra inputs|Field required|should have at|valid (tuple|list|dict|string|integer|number|boolean)|"
    r"Value error|Assertion failed|String should|unable to parse|should match pattern"
)

#: How a model's class begins.
MODEL = re.compile(r"^class \w+\((BaseModel|_?[A-Z]\w*(Fields|Config)|BeliefPropagation)\b", re.MULTILINE)

#: Values that are wrong nearly everywhere, each in a way of its own.
WRONG = [
    None,
    True,
    -1,
    0,
    1e12,
    2.5,
    math.nan,
    math.inf,
    "",
    "x",
    "\0",
    "word " * 41_000,
    [],
    ["x"],
    [-1] * 70,
    {},
    {"x": 1},
]


@cache
def models():
    """Every pydantic model of AutoQEC and its plugins, by its full name."""
    for package in (autoqec, autoqec_plugins):
        top = Path(package.__path__[0])
        for file in sorted(top.rglob("*.py")):
            if MODEL.search(file.read_text()):  # importing the others would import torch and more
                importlib.import_module(".".join((package.__name__, *file.relative_to(top).with_suffix("").parts)))
    waiting, seen = [BaseModel], {}
    while waiting:
        for model in waiting.pop().__subclasses__():
            waiting.append(model)
            if model.__module__.startswith(("autoqec.", "autoqec_plugins.")):
                seen[f"{model.__module__}.{model.__qualname__}"] = model
    return seen


def errors_of(model, fields):
    try:
        model.model_validate(fields)
    except ValidationError as error:
        return error
    return None


def test_no_error_of_our_models_is_in_pydantics_words():
    assert len(models()) > 20
    raised = set()
    for name, model in models().items():
        tried = [{}, {"no_such_field": 1}, [], "text"]
        tried += [{field: wrong} for field in model.model_fields for wrong in WRONG]
        for error in filter(None, (errors_of(model, fields) for fields in tried)):
            raised |= {item["type"] for item in error.errors()}
            said = explain(error, model)
            assert not RAW.search(said), (name, said)
            assert "another value" not in said, (name, said)
            for problem in field_problems(error, model):
                assert "function-" not in problem.field
    assert {"missing", "extra_forbidden", "literal_error", "greater_than_equal", "tuple_type"} <= raised


def test_no_error_that_pydantic_knows_keeps_its_sentence():
    class Anything(BaseModel):
        field: int = Field(default=1, ge=0)

    told = 0
    for kind in pydantic_core._pydantic_core.list_all_errors():
        if kind["type"] in ("value_error", "assertion_error"):
            continue
        about = kind.get("example_context")
        details = InitErrorDetails(type=kind["type"], loc=("field",), input=[1], ctx=about or {})
        error = ValidationError.from_exception_data("Anything", [details])
        (item,) = error.errors()
        assert item["msg"] not in explain(error, Anything), kind["type"]
        told += 1
    assert told > 90


def test_every_pattern_has_words():
    used = set()

    def walk(part):
        if isinstance(part, dict):
            if isinstance(part.get("pattern"), str):
                used.add(part["pattern"])
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    for model in models().values():
        walk(schema_of(model))
    assert used == set(PATTERNS)


GOOD = {"name": "e", "code": {"kind": "dem", "path": "m.dem"}, "decoder": "mwpm"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"references": "osd"}, "references: must be a list, not 'osd'"),
        ({"noise": {"p": [0.7]}}, "noise.p.0: must be a number above 0 and below 0.5, not 0.7"),
        (
            {"noise": {"kind": "loud"}},
            "noise.kind: must be one of depolarizing, biased, phenomenological, code_capacity,",
        ),
        (
            {"protocol": {"cells": [{"rounds": 0}]}},
            "protocol.cells.0.rounds: must be a whole number from 1 to 1,000, or null, not 0",
        ),
        ({"protocol": {"cells": []}}, "protocol.cells: must be a list of 1 to 16 items, or null, not 0"),
        ({"protocol": {"max_shot": 1}}, "protocol.max_shot: unknown field; did you mean max_shots"),
        ({"zzz": 1}, "zzz: unknown field; known: name, story, code, noise, decoder, references, constraints, protocol"),
        ({"name": "A b"}, "name: must be a name of at most 64 lower-case letters"),
        ({"code": None}, "code: must be a mapping of fields, not null"),
        ({"protocol": {"alpha": 1}}, "protocol.alpha: must be a number above 0 and below 0.5, not 1"),
        (
            {"constraints": {"max_params": -1}},
            "constraints.max_params: must be a whole number from 0 up, or null, not -1",
        ),
        ({"story": "x" * 501}, "story: must be text of at most 500 characters, not 501"),
        ({"noise": {"kind": "given", "p": [0.1]}}, "noise: for noise of kind 'given' the circuit"),
    ],
)
def test_what_is_said_of_an_environment(fields, said):
    assert said in explain(errors_of(Environment, GOOD | fields), Environment)


def test_a_missing_field_says_what_it_must_be():
    assert explain(errors_of(Environment, {"name": "e"}), Environment).startswith("code: missing; it must be a mapping")


def test_programs_are_told_the_choices_and_the_ends():
    code, about = first_problem(errors_of(Training, {"loss": "mse"}), Training)
    assert (code, about["field"], about["choices"]) == (
        "bad_value",
        "loss",
        ["bce", "weighted_bce", "focal", "logical_gap"],
    )
    assert first_problem(errors_of(Training, {"epochs": -1}), Training)[1]["least"] == 0
    assert first_problem(errors_of(Training, {"shot": 1}), Training)[0] == "unknown_field"


def test_the_members_of_a_union_are_one_problem():
    class Either(BaseModel):
        model_config = ConfigDict(extra="forbid")
        value: int | str | list[int]

    (problem,) = field_problems(errors_of(Either, {"value": {}}), Either)
    assert (problem.field, problem.text) == ("value", "must be a whole number, text, or a list, not a mapping")


def test_a_value_is_shown_short():
    with pytest.raises(UsageError) as caught:
        validated(Training, {"loss": "y" * 10_000}, "training.yaml")
    assert len(caught.value.problem) < 200


def test_a_factory_without_such_a_field_names_those_it_has():
    with pytest.raises(UsageError) as caught:
        load_plugins().get("decoder", "mwpm_correlated").create(colour="red")
    assert "does not accept ['colour']: unknown field colour" in caught.value.problem
    assert "keyword argument" not in caught.value.problem


def test_pydantics_errors_are_read_in_one_place():
    """Whoever else reads them says what is wrong in words of its own, or nothing: settings, and the conformance of a code."""
    readers = {
        str(file.relative_to(top))
        for top in (Path(package.__path__[0]) for package in (autoqec, autoqec_plugins))
        for file in top.rglob("*.py")
        if re.search(r"\.errors\(|str\(error\).*ValidationError", file.read_text())
    }
    assert readers == {"field_problems.py", "config.py", "testing/conformance_code.py"}


def test_settings_have_words_of_their_own(tmp_path):
    (tmp_path / ".autoqec").mkdir()
    for line in (
        "jobs = 'x'",
        "jobs = -1",
        "trust = 1",
        "profile = []",
        "agents = 1",
        "profiles.dev.score_shots = 0",
        "zzz = 1",
    ):
        (tmp_path / ".autoqec/config.toml").write_text(line + "\n")
        with pytest.raises(UsageError) as caught:
            load_settings(tmp_path)
        assert not RAW.search(caught.value.problem), caught.value.problem
