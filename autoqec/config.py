"""Reads the settings: a flag wins over an environment variable, over `.autoqec/config.toml`, over the built-in value."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from autoqec.contained_files import read_contained, repository_of
from autoqec.errors import UsageError
from autoqec.settings_schema import BUILTIN_PROFILES, Price, Profile, SettingsFile, Simple
from autoqec.size_limits import CONFIG_BYTES

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_FILE = ".autoqec/config.toml"

#: Every simple setting with its built-in value.
BUILTIN: Mapping[str, Any] = Simple().model_dump()

#: Fields of a price, in US dollars per million tokens.
PRICE_FIELDS = tuple(Price.model_fields)

_PREFIX = "AUTOQEC_"

#: Variables that are not settings: they apply to a process in any lab.
OTHER_VARIABLES: Mapping[str, str] = {
    "AUTOQEC_LOAD_PLUGINS": "Plugins to load, by entry-point name, separated by commas; empty for none.",
    "AUTOQEC_STRICT_PLUGINS": "1 makes a broken plugin an error.",
    "AUTOQEC_ALLOW_UNSANDBOXED": "1 runs a candidate's own code even where it cannot be locked; it is then never VERIFIED.",
}

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Setting:
    """A value and where it came from: `flag`, a variable's name, the file, or `built-in`."""

    value: Any
    source: str


@dataclass(frozen=True)
class Settings:
    """All settings of a lab.

    Attributes:
        values: Simple settings by name.
        profiles: Profiles by name.
        agents: Options of each role's agent, by role: the tables `[agents.<role>]`.
        prices: What models cost, by name: the tables `[prices."<model>"]`, see `PRICE_FIELDS`.
    """

    values: Mapping[str, Setting]
    profiles: Mapping[str, Profile]
    agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    @property
    def profile(self) -> Profile:
        """The chosen profile.

        Raises:
            UsageError: There is none of that name.
        """
        chosen = self.profiles.get(self["profile"])
        if chosen is None:
            source = self.values["profile"].source
            raise UsageError(
                f"there is no profile {self['profile']!r} ({source})",
                hint=f"choose one of: {', '.join(sorted(self.profiles))}",
            )
        return chosen

    @property
    def jobs(self) -> int:
        """Worker processes: the setting, or the processors this process may use."""
        return int(self["jobs"]) or len(os.sched_getaffinity(0))


def load_settings(lab: Path | None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read settings.

    Args:
        lab: The lab's working tree; None for no file.
        flags: Values given on the command line; None values are ignored.

    Raises:
        UsageError: The file cannot be read, or a key, a variable or a value is wrong; names where it is.
    """
    path = (lab or Path()) / CONFIG_FILE
    file = _validated(SettingsFile, _read_file(path) if lab is not None else {}, lambda name: str(path))
    variables = _validated(Simple, _read_variables(), variable_of)
    given = {name: value for name, value in (flags or {}).items() if name in BUILTIN and value is not None}
    chosen = _validated(Simple, given, lambda name: f"--{name.replace('_', '-')}")
    values = {name: Setting(value, "built-in") for name, value in BUILTIN.items()}
    values |= {name: Setting(getattr(file, name), str(path)) for name in BUILTIN if name in file.model_fields_set}
    values |= {name: Setting(getattr(variables, name), variable_of(name)) for name in variables.model_fields_set}
    values |= {name: Setting(getattr(chosen, name), "flag") for name in chosen.model_fields_set}
    prices = {model: price.model_dump() for model, price in file.prices.items()}
    agents = {str(role): options for role, options in file.agents.items()}
    return Settings(values, {**BUILTIN_PROFILES, **file.profiles}, agents, prices)


def variable_of(name: str) -> str:
    """The environment variable of a simple setting."""
    return _PREFIX + name.upper()


def _read_file(path: Path) -> dict[str, Any]:
    try:
        data = read_contained(path, repository_of(path), CONFIG_BYTES)
        return tomllib.loads(data.decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number or a nesting without end
        raise UsageError(
            f"{path}: {error}", hint="correct the file, or remove it to use the built-in settings"
        ) from error


def _read_variables() -> dict[str, str]:
    """Settings from the environment; an empty variable counts as none."""
    given = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX) and value}
    known = {variable_of(name): name for name in BUILTIN}
    for name in sorted(given.keys() - known.keys() - OTHER_VARIABLES.keys()):
        raise UsageError(f"the environment variable {name} is unknown", hint=_nearest(name, [*known, *OTHER_VARIABLES]))
    return {known[name]: value for name, value in given.items() if name in known}


def _nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the known name nearest to an unknown one."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"


def _validated(model: type[_Model], values: Mapping[str, Any], source: Callable[[str], str]) -> _Model:
    """Values as a model; `source` says where the value of a name was given."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = source(str(first["loc"][0]))
        problem, hint = _explained(first, values, where)
        raise UsageError(f"{where}: {problem}", hint=hint) from None


def _explained(error: ErrorDetails, values: Mapping[str, Any], source: str) -> tuple[str, str]:
    """What is wrong with a value, and what to do about it."""
    place, unknown = tuple(map(str, error["loc"])), error["type"] == "extra_forbidden"
    table, name, key = (*place, "", "")[:3]
    if table not in ("profiles", "agents", "prices"):
        return _explained_simple(table, values[table], source, unknown)
    if name == "" or (key == "" and table != "profiles"):
        return f"{table} must be a table of tables", f"write fields below [{table}.<name>]"
    if table == "profiles":
        return _explained_profile(name, key, values, unknown)
    if table == "agents":
        if key == "[key]":
            return f"agents.{name} is not a role", _nearest(name, ("ideator", "coder", "analyst"))
        return f"agents.{name}.{key} must be a word, a number, true or false", "see docs/agents.md"
    given = values["prices"][name]
    if error["type"] == "missing" or unknown:
        hint = f"give all of {', '.join(PRICE_FIELDS)}, in dollars per million tokens"
        return f"prices.{name!r} has {', '.join(given) or 'no fields'}", hint
    problem = f"prices.{name!r}.{key} must be dollars per million tokens, not {given[key]!r}"
    return problem, "write a number from 0 up"


def _explained_simple(name: str, value: Any, source: str, unknown: bool) -> tuple[str, str]:
    if unknown:
        return f"unknown setting {name!r}", _nearest(name, [*BUILTIN, "profiles", "agents", "prices"])
    kind = type(BUILTIN[name])
    what = {int: "a whole number", float: "a number", str: "a word"}[kind]
    words = get_args(Simple.model_fields[name].annotation)
    if words and kind is str:
        what = f"one of {', '.join(word for word in words if word)}, or empty"
    ends = [
        getattr(limit, end)
        for limit in Simple.model_fields[name].metadata
        for end in ("ge", "le")
        if hasattr(limit, end)
    ]
    if ends and _is_number(value, kind):
        what = f"between {ends[0]} and {ends[1]:g}"
    return f"{name} must be {what}, not {value!r}", f"change it in {source}; the built-in value is {BUILTIN[name]!r}"


def _is_number(value: Any, kind: type) -> bool:
    try:
        kind(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, bool) and (kind is float or isinstance(value, int | str))


def _explained_profile(name: str, key: str, values: Mapping[str, Any], unknown: bool) -> tuple[str, str]:
    if key == "":
        return f"profiles.{name} must be a table", f"write its fields below [profiles.{name}]"
    if unknown:
        return f"profiles.{name}.{key} is unknown", _nearest(key, Profile.model_fields)
    least = next(limit.ge for limit in Profile.model_fields[key].metadata if hasattr(limit, "ge"))
    value, builtin = values["profiles"][name][key], BUILTIN_PROFILES.get(name, BUILTIN_PROFILES["dev"])
    problem = f"profiles.{name}.{key} must be a number from {least} up, not {value!r}"
    return problem, f"change it, or leave it out for {getattr(builtin, key):,}"


def config_template() -> str:
    """The text of a new lab's settings file: every simple setting with its built-in value."""
    lines = [
        "# Settings of this lab. A flag wins over an AUTOQEC_... variable, over this file, over the built-in value.",
        "# `autoqec doctor` shows every value and where it comes from.",
    ]
    lines += [
        f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in BUILTIN.items()
    ]
    return "\n".join(lines) + "\n"
