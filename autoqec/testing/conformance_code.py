"""Conformance check for codes: the same fields build the same experiment; it compiles and has more errors at a larger p."""

from __future__ import annotations

import json

from pydantic import BaseModel, ValidationError

from autoqec.errors import AutoQECError
from autoqec.json_values import JsonObject
from autoqec.problem.code_contract import Code, build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, LoadedEnvironment, environment_from_files
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_chunk

_SEED = 2024

#: A field that no code has.
_UNKNOWN = "no_such_field"


def check_code(code: Code, example: JsonObject | None = None) -> Problem:
    """Check a code on an example of it.

    Its fields are a pydantic model that refuses unknown ones, what it builds is the same each time and compiles to a problem,
    shots can be drawn, and a larger physical error rate makes errors more likely.

    Args:
        code: The code.
        example: Parts of an environment: `code`, the fields beside `kind`; `noise`; and `files`, text or bytes by name. By
            default the code's own `EXAMPLE`, or its default fields.

    Returns:
        The example's problem.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    chosen = example if example is not None else getattr(code, "EXAMPLE", {})
    fields = dict(chosen.get("code", {}))
    assert isinstance(code.Config, type), "Config must be a pydantic model"
    assert issubclass(code.Config, BaseModel), "Config must be a pydantic model"
    loaded = _environment(chosen)
    problem, again = _built(code, loaded), _built(code, loaded)
    assert str(problem.dem) == str(again.dem), "what is built twice from the same fields must be the same"
    assert str(problem.circuit) == str(again.circuit), "what is built twice from the same fields must be the same"
    assert _refuses_unknown(code, fields), (
        'Config must refuse a field that it does not know: model_config = ConfigDict(extra="forbid")'
    )
    assert sample_chunk(problem, _SEED).syndromes.any(), "no detector fires in 4,096 shots"
    p = loaded.environment.noise.target
    if p is not None:
        larger = _built(code, loaded, 1.5 * p)
        assert _errors(larger) > _errors(problem), f"p = {1.5 * p:g} makes no more errors than p = {p:g}"
    return problem


def _environment(chosen: JsonObject) -> LoadedEnvironment:
    noise = chosen.get("noise", {"kind": "depolarizing", "p": [0.005]})
    said = {"name": "checked", "code": {"kind": "checked", **chosen.get("code", {})}, "noise": noise, "decoder": "mwpm"}
    files = {
        name: data if isinstance(data, bytes) else str(data).encode() for name, data in chosen.get("files", {}).items()
    }
    try:
        return environment_from_files({ENVIRONMENT_FILE: json.dumps(said).encode(), **files}, origin="the example")
    except AutoQECError as error:
        raise AssertionError(f"the example is not a valid environment: {error.problem}") from error


def _built(code: Code, loaded: LoadedEnvironment, p: float | None = None) -> Problem:
    try:
        return build_problem(loaded, lambda kind: code, p)
    except AutoQECError as error:
        raise AssertionError(f"the example cannot be built: {error.problem}") from error


def _refuses_unknown(code: Code, fields: JsonObject) -> bool:
    try:
        code.Config.model_validate({**fields, _UNKNOWN: 1})
    except ValidationError as error:
        return any(_UNKNOWN in item["loc"] for item in error.errors())
    return False


def _errors(problem: Problem) -> float:
    """How many mechanisms fire in a shot, on average."""
    return float(problem.mechanisms.priors.sum())
