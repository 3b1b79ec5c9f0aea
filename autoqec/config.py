"""Reads the settings: a flag wins over a variable, over the lab's file, over the user's own file, over the built-in value.

The user's own file is `~/.config/autoqec/config.toml`. What the lab's file, `.autoqec/config.toml`, may set only with the user's
trust is not used without it; see `autoqec.wanted_settings`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from autoqec.contained_files import read_contained
from autoqec.errors import UsageError
from autoqec.settings_schema import BUILTIN_PROFILES, Price, Profile, SettingsFile, Simple
from autoqec.size_limits import CONFIG_BYTES
from autoqec.strict_fields import checked_fields
from autoqec.user_folders import user_folder
from autoqec.wanted_settings import TRUST_VARIABLE, Wanted, is_trusted, wanted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_FILE = ".autoqec/config.toml"

#: Every simple setting with its built-in value.
BUILTIN: Mapping[str, Any] = Simple().model_dump()

#: The flag of options of the executor, as commands name it.
_OPTION = "executor_option"

#: Fields of a price, in US dollars per million tokens.
PRICE_FIELDS = tuple(Price.model_fields)

_PREFIX = "AUTOQEC_"

#: Settings that are paths.
_PATHS = ("signing_key", "allowed_signers")

#: Variables that are not settings: they apply to a process in any lab.
OTHER_VARIABLES: Mapping[str, str] = {
    "AUTOQEC_LOAD_PLUGINS": "Plugins to load, by entry-point name, separated by commas; empty for none.",
    "AUTOQEC_STRICT_PLUGINS": "1 makes a broken plugin an error.",
    TRUST_VARIABLE: "1 uses the settings of every repository without asking, on a machine where all repositories are yours.",
    "AUTOQEC_HOST_TOKEN": "The token for the host of `publish --statuses` and `ci tell`; see docs/how-to/on-a-host.md.",
    "AUTOQEC_ALLOW_UNSANDBOXED": "1 runs a candidate's own code even where it cannot be locked; it is then never VERIFIED.",
}

#: The tables of options of `Settings`.
_OPTIONS = ("agents", "executors", "prices")

#: All tables of a settings file.
_TABLES = ("profiles", *_OPTIONS)

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Setting:
    """A value and where it came from: `flag`, a variable's name, a file, or `built-in`."""

    value: Any
    source: str


@dataclass(frozen=True)
class Settings:
    """All settings of a lab.

    Attributes:
        values: Simple settings by name.
        profiles: Profiles by name.
        agents: Options of each role's agent, by role: the tables `[agents.<role>]`.
        executors: Options of each executor, by its name: the tables `[executors.<name>]`.
        prices: What models cost, by name: the tables `[prices."<model>"]`, see `PRICE_FIELDS`.
        withheld: What the lab's file asks for and is not used, because the user does not trust the file.
    """

    values: Mapping[str, Setting]
    profiles: Mapping[str, Profile]
    agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    executors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    withheld: tuple[Wanted, ...] = ()

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
            if f"profiles.{self['profile']}" in {each.name for each in self.withheld}:
                raise UsageError(
                    f"the profile {self['profile']!r} of {CONFIG_FILE} spends more than any built-in profile, and you do not"
                    " trust the file",
                    hint="autoqec trust",
                )
            raise UsageError(
                f"there is no profile {self['profile']!r} ({source})",
                hint=f"choose one of: {', '.join(sorted(self.profiles))}",
            )
        return chosen

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values, for a process that works with the same ones; what is withheld is not among them."""
        return {
            "values": {name: [each.value, each.source] for name, each in self.values.items()},
            "profiles": {name: each.model_dump() for name, each in self.profiles.items()},
            **{name: {key: dict(each) for key, each in getattr(self, name).items()} for name in _OPTIONS},
        }

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> Settings:
        """The inverse of `to_json`. What an older version does not tell, before it is updated in mid work, is built in."""
        values = {name: Setting(value, "built-in") for name, value in BUILTIN.items()}
        return Settings(
            values | {name: Setting(*each) for name, each in told["values"].items()},
            {name: Profile(**each) for name, each in told["profiles"].items()},
            **{name: told.get(name, {}) for name in _OPTIONS},
        )

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
    variables = _validated(Simple, _read_variables(), variable_of)
    given = {name: value for name, value in (flags or {}).items() if name in BUILTIN and value is not None}
    chosen = _validated(Simple, given, lambda name: f"--{name.replace('_', '-')}")
    own, own_path = _own_file()
    file, data = _lab_file(lab) if lab is not None else (SettingsFile(), b"")
    path = str((lab or Path()) / CONFIG_FILE)
    asked = wanted(file)
    if lab is not None and asked and is_trusted(lab, data):
        asked = ()
    withheld = {each.name for each in asked}
    values = {name: Setting(value, "built-in") for name, value in BUILTIN.items()}
    values |= {name: Setting(getattr(own, name), str(own_path)) for name in BUILTIN if name in own.model_fields_set}
    for name in (name for name in BUILTIN if name in file.model_fields_set and name not in withheld):
        value = getattr(file, name)
        # A file may list built-in values, as one by `autoqec init` does; those of the user's own settings stay.
        if SettingsFile.whose(name) == "lab" or value != BUILTIN[name] or name not in own.model_fields_set:
            values[name] = Setting(value, path)
    values |= {name: Setting(getattr(variables, name), variable_of(name)) for name in variables.model_fields_set}
    values |= {name: Setting(getattr(chosen, name), "flag") for name in chosen.model_fields_set}
    return Settings(
        values,
        {**BUILTIN_PROFILES, **_table("profiles", own, file, withheld)},
        {str(role): options for role, options in _table("agents", own, file, withheld).items()},
        _with_options(
            _table("executors", own, file, withheld), values["executor"].value, (flags or {}).get(_OPTION, ())
        ),
        {model: price.model_dump() for model, price in _table("prices", own, file, withheld).items()},
        asked,
    )


def _table(table: str, own: SettingsFile, file: SettingsFile, withheld: Collection[str]) -> dict[str, Any]:
    """A table of the user's file and the lab's, of which the lab's comes first."""
    theirs = {key: each for key, each in getattr(file, table).items() if f"{table}.{key}" not in withheld}
    return {**getattr(own, table), **theirs}


def _with_options(tables: dict[str, Any], executor: str, given: Iterable[str]) -> dict[str, Any]:
    """Options of executors, of which those of the flag `--executor-option NAME=VALUE` belong to the chosen one.

    A value is as TOML writes it, or a word. An option that is given several times is a list.
    """
    found: dict[str, list[Any]] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--executor-option: {text!r} is not NAME=VALUE", hint="--executor-option each=4")
        found.setdefault(name, []).append(_toml_value(value))
    options = {name: values[0] if len(values) == 1 else values for name, values in found.items()}
    checked = _validated(SettingsFile, {"executors": {executor: options}}, lambda name: "--executor-option")
    chosen = {**tables.get(executor, {}), **checked.executors[executor]}
    return {**tables, executor: chosen} if chosen else tables


def _toml_value(text: str) -> Any:
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return found["value"] if len(found) == 1 else text


def read_lab_file(lab: Path) -> tuple[tuple[Wanted, ...], bytes]:
    """What a lab's settings file asks for, and its contents.

    Raises:
        UsageError: The file cannot be read, or a value is wrong.
    """
    file, data = _lab_file(lab)
    return wanted(file), data


def _lab_file(lab: Path) -> tuple[SettingsFile, bytes]:
    path = lab / CONFIG_FILE
    values, data = _read_file(path, lab)
    return _validated(SettingsFile, values, lambda name: str(path)), data


def _own_file() -> tuple[SettingsFile, Path]:
    """The user's own settings, and where they are. A relative path in them is relative to their folder."""
    try:
        path = user_folder("XDG_CONFIG_HOME", ".config") / "config.toml"
    except RuntimeError:  # no home
        return SettingsFile(), Path()
    file = _validated(SettingsFile, _read_file(path, Path(path.anchor))[0], lambda name: str(path))
    paths = {name: Path(getattr(file, name)).expanduser() for name in _PATHS if getattr(file, name)}
    return file.model_copy(update={name: str(path.parent / each) for name, each in paths.items()}), path


def variable_of(name: str) -> str:
    """The environment variable of a simple setting."""
    return _PREFIX + name.upper()


def _read_file(path: Path, top: Path) -> tuple[dict[str, Any], bytes]:
    """The values of a settings file and its contents; nothing if there is none. A link out of `top` is not followed."""
    try:
        data = read_contained(path, top, CONFIG_BYTES)
        return tomllib.loads(data.decode("utf-8-sig")), data
    except FileNotFoundError:
        return {}, b""
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
        return checked_fields(model, values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = source(str(first["loc"][0]))
        problem, hint = _explained(first, values, where)
        raise UsageError(f"{where}: {problem}", hint=hint) from None


def _explained(error: ErrorDetails, values: Mapping[str, Any], source: str) -> tuple[str, str]:
    """What is wrong with a value, and what to do about it."""
    place, unknown = tuple(map(str, error["loc"])), error["type"] == "extra_forbidden"
    table, name, key = (*place, "", "")[:3]
    if table not in _TABLES:
        return _explained_simple(table, values[table], source, unknown)
    if name == "" or (key == "" and table != "profiles"):
        return f"{table} must be a table of tables", f"write fields below [{table}.<name>]"
    if table == "profiles":
        return _explained_profile(name, key, values, unknown)
    if table == "agents":
        if key == "[key]":
            return f"agents.{name} is not a role", _nearest(name, ("ideator", "coder", "analyst"))
        return f"agents.{name}.{key} must be a word, a finite number, true or false", "see docs/agents.md"
    if table == "executors":
        return _explained_option(name, key, place)
    given = values["prices"][name]
    if error["type"] == "missing" or unknown:
        hint = f"give all of {', '.join(PRICE_FIELDS)}, in dollars per million tokens"
        return f"prices.{name!r} has {', '.join(given) or 'no fields'}", hint
    problem = f"prices.{name!r}.{key} must be dollars per million tokens, not {given[key]!r}"
    return problem, f"write a number {_range_of(Price, key, given[key])}"


def _explained_option(name: str, key: str, place: tuple[str, ...]) -> tuple[str, str]:
    see = "see docs/how-to/many-machines.md"
    if place[3:] != ("[key]",):
        return f"executors.{name}.{key} must be a word, a finite number, true or false, or a list of words", see
    if key in BUILTIN:
        return (
            f"executors.{name}.{key} is no option: {key} is a setting of its own",
            f"use the setting {key}, or --{key}",
        )
    return f"executors.{name}.{key} is no name of an option", see


def _explained_simple(name: str, value: Any, source: str, unknown: bool) -> tuple[str, str]:
    if unknown:
        return f"unknown setting {name!r}", _nearest(name, [*BUILTIN, *_TABLES])
    kind = type(BUILTIN[name])
    what = {int: "a whole number", float: "a number", str: "a word"}[kind]
    words = get_args(Simple.model_fields[name].annotation)
    if words and kind is str:
        empty = ", or empty" if "" in words else ""
        what = f"one of {', '.join(word for word in words if word)}{empty}"
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
    value, builtin = values["profiles"][name][key], BUILTIN_PROFILES.get(name, BUILTIN_PROFILES["dev"])
    problem = f"profiles.{name}.{key} must be a number {_range_of(Profile, key, value)}, not {value!r}"
    return problem, f"change it, or leave it out for {getattr(builtin, key):,}"


def _range_of(model: type[BaseModel], name: str, value: Any) -> str:
    """The range of a field in words: its lower end, or the upper one if that is what the value exceeds."""
    ends = {
        end: getattr(limit, end)
        for limit in model.model_fields[name].metadata
        for end in ("ge", "le", "lt")
        if hasattr(limit, end)
    }
    for end, words in ("le", "up to"), ("lt", "below"):
        if end in ends and _is_number(value, float) and inf > float(value) >= ends[end]:
            return f"{words} {ends[end]:,.15g}"
    return f"from {ends['ge']} up"


def config_template() -> str:
    """The text of a new lab's settings file: every simple setting that a lab may choose, with its built-in value."""
    lines = [
        "# Settings of this lab. A flag wins over an AUTOQEC_... variable, over this file, over your own settings in",
        "# ~/.config/autoqec/config.toml, over the built-in value. What sends, signs, loads or spends something belongs to your",
        "# own file. `autoqec doctor` shows every value and where it comes from.",
    ]
    chosen = {name: value for name, value in BUILTIN.items() if Simple.whose(name) != "user"}
    lines += [
        f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in chosen.items()
    ]
    return "\n".join(lines) + "\n"
