"""Members of a family of environments: one environment with other values of some fields, in all combinations.

A field takes each value of a list, or the value of another field of the family: with `code.rounds=code.distance` a code of
distance 7 has seven rounds. Everything is validated before a member is returned, so what runs afterwards fails on no field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from math import exp, isfinite, log
from pathlib import Path
from typing import Any

import stim
from pydantic import ValidationError

from autoqec.canonical import dump_flow, load_yaml
from autoqec.errors import NotFoundError, UsageError
from autoqec.field_problems import explain
from autoqec.problem.code_contract import Code, built_code
from autoqec.problem.drafting import changed, yaml_of
from autoqec.problem.environment import (
    ENVIRONMENT_FILE,
    Environment,
    LoadedEnvironment,
    files_beside,
)
from autoqec.strict_fields import checked_fields

#: Most members of a family; each is compiled.
MOST_MEMBERS = 10_000

#: Most values in one list.
_MOST_VALUES = 1_000

#: Significant digits of a rate between two ends.
_DIGITS = 4

#: Sections that no figure of a decoder depends on. They may refer to the values that change, so members have none.
_LEFT_OUT = ("references", "constraints", "protocol")

#: What a field of another field's value begins with; `c.dem` is the name of a file.
_SECTIONS = ("code", "noise", "decoder")

#: The field of the physical error rate.
RATE = "noise.p"


@dataclass(frozen=True)
class Varied:
    """A field and its values.

    Attributes:
        field: Dotted, such as `code.distance`.
        values: Its values, or the name of the field whose value it takes.
    """

    field: str
    values: tuple[Any, ...] | str


@dataclass(frozen=True)
class Member:
    """One environment of a family.

    Attributes:
        loaded: The environment with its files.
        values: The values of the varied fields, by their dotted names; a physical error rate is a number.
        built: Its circuit, or its error model if no circuit is known.
    """

    loaded: LoadedEnvironment
    values: Mapping[str, Any]
    built: stim.Circuit | stim.DetectorErrorModel

    @property
    def label(self) -> str:
        """Its values in words, such as `distance = 5, p = 0.003`; the environment's name if nothing varies."""
        return label_of(self.values) or self.loaded.name

    @property
    def digest(self) -> str:
        """SHA-256 of the circuit's or error model's text: the same for two members that are the same task."""
        return sha256(str(self.built).encode()).hexdigest()

    @property
    def rate(self) -> float | None:
        """The physical error rate; None if a file brings the noise along."""
        return self.loaded.environment.noise.target

    def number(self, name: str) -> int | None:
        """A field of the code that is an integer, such as `distance`; None if the code has no such field."""
        value = self.loaded.environment.code.fields.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def label_of(values: Mapping[str, Any]) -> str:
    """Values of fields in words, each field by its last part."""
    return ", ".join(f"{field.rpartition('.')[2]} = {_as_written(value)}" for field, value in values.items())


def read_varied(text: str) -> Varied:
    """Parse `code.distance=3,5,7`, or `code.rounds=code.distance` for the value of another field.

    Raises:
        UsageError: There is no field or no `=`, or the values are not a list in YAML.
    """
    field, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values or not is_field(field):
        raise UsageError(f"--set {text}: write FIELD=VALUE,VALUE,…", hint="--set code.distance=3,5,7")
    if values.partition(".")[0] in _SECTIONS and "." in values and is_field(values):
        return Varied(field, values)
    try:
        found = load_yaml(f"[{values}]", name=f"--set {field}")
    except UsageError as error:
        raise UsageError(
            f"--set {text}: the values are not a list in YAML: {error.problem}", hint="--set code.distance=3,5,7"
        ) from error
    return Varied(field, tuple(found))


def _as_written(value: Any) -> str:
    return value if isinstance(value, str) else dump_flow(value)


def is_field(text: str) -> bool:
    """Whether a text is a dotted name of a field."""
    return all(part.isidentifier() for part in text.split("."))


def read_rates(text: str) -> tuple[float, ...]:
    """Parse physical error rates: `1e-3,2e-3`, or `1e-3:1e-2:8` for 8 rates at equal ratios, both ends included.

    Rates between two ends have four significant digits, so that a person can type them again.

    Raises:
        UsageError: A part is not a number, or the rates are not between 0 and 1/2.
    """
    parts = text.split(":") if ":" in text else text.split(",")
    hint = "--p 1e-3:1e-2:8, or --p 0.001,0.002,0.005"
    try:
        numbers = [float(part) for part in parts]
    except ValueError as error:
        raise UsageError(f"--p {text}: write numbers", hint=hint) from error
    if ":" not in text:
        return checked_rates(numbers, f"--p {text}", hint)
    if len(numbers) != 3 or numbers[2] != int(numbers[2] if isfinite(numbers[2]) else 0) or not parts[2].strip():
        raise UsageError(f"--p {text}: write FROM:TO:HOW_MANY, with a whole number of rates", hint=hint)
    first, last, count = numbers[0], numbers[1], int(numbers[2])
    if not 2 <= count <= _MOST_VALUES:
        raise UsageError(f"--p {text}: between 2 and {_MOST_VALUES:,} rates are possible, not {count}", hint=hint)
    checked_rates([first, last], f"--p {text}", hint)
    step = (log(last) - log(first)) / (count - 1)
    inner = [float(f"{exp(log(first) + step * place):.{_DIGITS}g}") for place in range(1, count - 1)]
    return checked_rates([first, *inner, last], f"--p {text}", hint)


def checked_rates(rates: Sequence[float], where: str, hint: str | None = None) -> tuple[float, ...]:
    """Check physical error rates.

    Raises:
        UsageError: One is not between 0 and 1/2, or is listed twice.
    """
    for rate in rates:
        if not 0 < rate < 0.5:
            raise UsageError(f"{where}: a physical error rate is above 0 and below 0.5, not {rate:g}", hint=hint)
    if len(set(rates)) < len(rates):
        raise UsageError(f"{where}: the same rate is listed twice", hint=hint)
    return tuple(float(rate) for rate in rates)


def members_of(
    template: LoadedEnvironment,
    varied: Sequence[Varied],
    rates: Sequence[float],
    code_kinds: Callable[[str], Code],
) -> list[Member]:
    """Make all members of a family, in the order of the lists; the last field changes fastest, and the rate before all fields.

    Args:
        template: The environment that the members are like.
        varied: Fields with their values.
        rates: Physical error rates; none to keep the environment's own.
        code_kinds: Returns the code plugin of a kind.

    Raises:
        UsageError: A field is unknown, a value is not valid, or there are too many members; the message names the values.
        NotFoundError: There is no code of that kind, or no file of a name that a field gives.
    """
    axes = _axes(template, varied, rates)
    raw = load_yaml(template.files[ENVIRONMENT_FILE], name=template.origin)
    followers = [each for each in varied if isinstance(each.values, str)]
    members = []
    for combination in product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        values |= {each.field: _value_of(each, values, template) for each in followers}
        members.append(_member(template, raw, values, code_kinds))
    return members


def _axes(template: LoadedEnvironment, varied: Sequence[Varied], rates: Sequence[float]) -> dict[str, tuple[Any, ...]]:
    """The independent fields with their values."""
    fields = [each.field for each in varied] + ([RATE] if rates else [])
    for field in fields:
        if fields.count(field) > 1:
            raise UsageError(
                f"{field} is given twice" + (", by --set and by --p" if field == RATE and rates else ""),
                hint=f"write all values in one list: --set {field}=…" if field != RATE else "--p 1e-3:1e-2:8",
            )
    if rates and template.environment.noise.kind == "given":
        raise UsageError(
            f"--p: the file of environment {template.name} brings its noise along, so no rate can be set",
            hint="leave --p out",
        )
    axes: dict[str, tuple[Any, ...]] = {RATE: tuple(rates)} if rates else {}
    count = len(rates) or 1
    for each in varied:
        if isinstance(each.values, str):
            continue
        if len(each.values) > _MOST_VALUES:
            raise UsageError(f"--set {each.field}: at most {_MOST_VALUES:,} values are possible", hint="list fewer")
        for value in each.values:
            if each.values.count(value) > 1:
                raise UsageError(
                    f"--set {each.field}: {_as_written(value)} is listed twice", hint="list each value once"
                )
        axes[each.field] = each.values
        count *= len(each.values)
    if count > MOST_MEMBERS:
        raise UsageError(
            f"the lists make {count:,} environments, and at most {MOST_MEMBERS:,} are possible",
            hint="make the lists of --set and --p shorter",
        )
    return axes


def _value_of(each: Varied, values: Mapping[str, Any], template: LoadedEnvironment) -> Any:
    """The value of a field that follows another one."""
    assert isinstance(each.values, str)
    if each.values in values:
        return values[each.values]
    section, _, name = each.values.partition(".")
    own = template.environment.code.fields if section == "code" else {}
    if name not in own:
        raise UsageError(
            f"--set {each.field}={each.values}: {each.values} is neither set here nor a field of the code",
            hint=f"give it values: --set {each.values}=3,5,7",
        )
    return own[name]


def _member(
    template: LoadedEnvironment, raw: Mapping[str, Any], values: Mapping[str, Any], code_kinds: Callable[[str], Code]
) -> Member:
    if not values:
        return Member(template, {}, built_code(template, code_kinds))
    where = f"environment {template.name} with {label_of(values)}"
    changes = [
        (field, [value] if field == RATE and not isinstance(value, list) else value) for field, value in values.items()
    ]
    like = {name: value for name, value in raw.items() if name not in _LEFT_OUT}
    hint = "correct --set or --p; autoqec env check shows the environment's own fields"
    try:
        fields = changed(like, changes)
        environment, text = checked_fields(Environment, fields), yaml_of(fields).encode()
        files = {ENVIRONMENT_FILE: text} | _files(template, environment)
        loaded = LoadedEnvironment(environment, files, where)
        return Member(loaded, values, built_code(loaded, code_kinds))
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error, Environment)}", hint=hint) from error
    except (UsageError, NotFoundError) as error:
        raise type(error)(f"{where}: {error.problem}", hint=error.hint or hint, code=error.code) from error


def _files(template: LoadedEnvironment, environment: Environment) -> dict[str, bytes]:
    """The files that the code of a member names: the template's own, or others beside its YAML."""
    if environment.code == template.environment.code:
        return {name: data for name, data in template.files.items() if name != ENVIRONMENT_FILE}
    return files_beside(environment, Path(template.origin))
