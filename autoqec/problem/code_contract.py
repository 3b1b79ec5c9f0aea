"""The interface of code plugins, and compilation of an environment: code plugin → circuit or error model → graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import stim
from pydantic import BaseModel, ValidationError

from autoqec.errors import NotFoundError, UsageError
from autoqec.field_problems import explain
from autoqec.json_values import JsonObject
from autoqec.problem.environment import ENVIRONMENT_FILE, LoadedEnvironment
from autoqec.problem.locating import at_its_line
from autoqec.problem.noise import Noise
from autoqec.problem.problem import Problem, problem_from_circuit, problem_from_dem
from autoqec.problem.scaled_noise import scaled_circuit, scaled_model
from autoqec.strict_fields import checked_fields


class Code(Protocol):
    """The interface of a code plugin.

    Attributes:
        Config: The pydantic model of the environment's `code` fields other than `kind`.
    """

    Config: type[BaseModel]

    # A code may also have `EXAMPLE`, parts of an environment on which `autoqec.testing.check_code` tries it: `code`, its fields;
    # `noise`; and `files`, text by name. A code whose fields all have defaults needs none.

    def build(
        self, config: Any, noise: Noise, p: float | None, files: Mapping[str, bytes]
    ) -> stim.Circuit | stim.DetectorErrorModel:
        """Build the noisy memory experiment, or its error model if no circuit is known.

        Args:
            config: An instance of `Config`.
            noise: The environment's noise.
            p: The physical error rate, one of `noise.p`; None if a file gives the noise.
            files: The environment's files, by the names in its fields.

        Raises:
            UsageError: The fields do not describe a circuit; the message names the field.
        """
        ...


def build_problem(loaded: LoadedEnvironment, code_kinds: Callable[[str], Code], p: float | None = None) -> Problem:
    """Compile an environment at one noise strength.

    Args:
        loaded: The environment and its files.
        code_kinds: Returns the code plugin of a kind; raises NotFoundError for an unknown kind.
        p: Physical error rate; by default the environment's target. Where a file brings the noise, the factor of its
            probabilities; by default that of the environment.

    Raises:
        UsageError: The code's fields, the circuit or the error model are invalid; the error names file, line and field.
        NotFoundError: There is no code of that kind.
    """
    environment, text = loaded.environment, loaded.files[ENVIRONMENT_FILE]
    try:
        built = built_code(loaded, code_kinds, p)
    except (NotFoundError, UsageError) as error:
        raise at_its_line(error, loaded.origin, text) from error
    name = f"environment {environment.name}"
    try:
        if isinstance(built, stim.Circuit):
            return problem_from_circuit(built, name=name)
        return problem_from_dem(built, name=name)
    except UsageError as error:
        found = UsageError(f"code: {error.problem}", hint=error.hint)
        raise at_its_line(found, loaded.origin, text) from error


def built_code(
    loaded: LoadedEnvironment, code_kinds: Callable[[str], Code], p: float | None = None
) -> stim.Circuit | stim.DetectorErrorModel:
    """Build an environment's circuit, or its error model if no circuit is known, without compiling it.

    Args:
        loaded, code_kinds, p: As for `build_problem`.

    Raises:
        UsageError: The code's fields are invalid; the message begins with the field.
        NotFoundError: There is no code of that kind.
    """
    environment = loaded.environment
    try:
        code = code_kinds(environment.code.kind)
    except NotFoundError as error:
        raise NotFoundError(f"code.kind: {error.problem}", hint=error.hint) from error
    config, files = _config(code, environment.code.fields), _Files(loaded.files)
    if environment.noise.kind != "given":
        rate = environment.noise.target if p is None else p
        return code.build(config, environment.noise, rate, files)
    built = code.build(config, environment.noise, None, files)
    factor = environment.noise.factor if p is None else p
    if factor is None or factor == 1.0:
        return built
    return scaled_circuit(built, factor) if isinstance(built, stim.Circuit) else scaled_model(built, factor)


class _Files(dict[str, bytes]):
    """An environment's files. One that the code's fields name may be missing where they come from elsewhere than a folder."""

    def __missing__(self, name: str) -> bytes:
        known = ", ".join(sorted(self.keys() - {ENVIRONMENT_FILE})) or "none"
        raise UsageError(f"code: {name} is not among the environment's files", hint=f"its files are: {known}")


def _config(code: Code, fields: JsonObject) -> BaseModel:
    try:
        return checked_fields(code.Config, fields)
    except ValidationError as error:
        raise UsageError(explain(error, code.Config, inside="code")) from error
