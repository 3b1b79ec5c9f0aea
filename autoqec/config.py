"""Settings: flag over environment variable over `.autoqec/config.toml` over built-in, each with where it came from."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from autoqec.errors import UsageError

CONFIG_FILE = ".autoqec/config.toml"


@dataclass(frozen=True)
class Profile:
    """How much a round may spend.

    Attributes:
        train_shots: Cap on training shots drawn.
        train_seconds: Wall clock of training.
        memory_gib: Address space of a training process.
        score_shots: Shots scored for the metrics, at least.
        verify_shots: Cap on shots of a verdict; the environment's protocol if smaller.
        verify_seconds: Wall clock after which a verdict that is undecided stays so; 0 for none, as in claims of rounds that were
            begun before there was one.
    """

    train_shots: int
    train_seconds: float
    memory_gib: float
    score_shots: int
    verify_shots: int
    verify_seconds: float = 0.0


@dataclass(frozen=True)
class Setting:
    """A value and where it came from: `flag`, a variable's name, the file, or `built-in`."""

    value: Any
    source: str


#: Every simple setting with its built-in value. `jobs = 0`: one for each processor. `claim_remote = ""`: round numbers are taken
#: in this clone without asking a remote. `strong_reference = ""`: no slow decoder is run beside a verdict. `signing_key = ""` (an
#: ssh key's path): verdicts are not signed. `allowed_signers = ""` (a file, see `man ssh-keygen`): no signer is known by name.
#: `patience`: after how many rounds in a row that came to nothing `autoqec round` stops. `max_wall`: seconds after which a
#: command begins no further step. `max_tokens`, `max_cost` (US dollars): what a run's agents may take. 0 of these four: no limit.
BUILTIN: Mapping[str, Any] = {
    "default_env": "surface_d5_depol",
    "profile": "dev",
    "ideator": "search",
    "coder": "search",
    "analyst": "search",
    "verifier": "holdout",
    "executor": "local",
    "jobs": 0,
    "claim_remote": "",
    "strong_reference": "",
    "signing_key": "",
    "allowed_signers": "",
    "patience": 3,
    "max_wall": 0.0,
    "max_tokens": 0,
    "max_cost": 0.0,
}

#: The largest value of a setting that is a number.
_MOST: Mapping[str, float] = {"jobs": 1024, "patience": 100_000, "max_wall": 1e9, "max_tokens": 10**12, "max_cost": 1e9}

#: Fields of a price, in US dollars per million tokens.
PRICE_FIELDS = ("input", "output", "cache_read", "cache_write")

BUILTIN_PROFILES: Mapping[str, Profile] = {
    "dev": Profile(
        train_shots=204_800,
        train_seconds=300.0,
        memory_gib=12.0,
        score_shots=131_072,
        verify_shots=2_000_000,
        verify_seconds=3600.0,
    ),
    "prod": Profile(
        train_shots=1_000_000,
        train_seconds=3600.0,
        memory_gib=12.0,
        score_shots=1_048_576,
        verify_shots=10_000_000,
        verify_seconds=28_800.0,
    ),
}


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


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint="mend the file, or remove it to use the built-in settings") from error


def _coerced(name: str, value: Any, source: str) -> Any:
    wanted = type(BUILTIN[name])
    if wanted is not str:
        with contextlib.suppress(ValueError):
            value = wanted(value) if isinstance(value, str) or type(value) is int else value
    if not isinstance(value, wanted) or isinstance(value, bool):
        what = {int: "a whole number", float: "a number", str: "a word"}[wanted]
        hint = f"change it in {source}; the built-in value is {BUILTIN[name]!r}"
        raise UsageError(f"{source}: {name} must be {what}, not {value!r}", hint=hint)
    if wanted is not str and not 0 <= value <= _MOST[name]:
        hint = f"change it in {source}; the built-in value is {BUILTIN[name]!r}"
        raise UsageError(f"{source}: {name} must be between 0 and {_MOST[name]:g}, not {value}", hint=hint)
    return value


def _agents(tables: Any, path: Path) -> dict[str, Mapping[str, Any]]:
    """Options of agents by role; what they mean is for each agent to say."""
    found = _tables(tables, "agents", path)
    roles = ("ideator", "coder", "analyst")
    for role, table in found.items():
        if role not in roles:
            raise UsageError(f"{path}: agents.{role} is no role", hint=f"known: {', '.join(roles)}")
        for key, value in table.items():
            if not isinstance(value, str | int | float | bool):
                raise UsageError(
                    f"{path}: agents.{role}.{key} must be a word, a number, true or false", hint="see docs/agents.md"
                )
    return found


def _prices(tables: Any, path: Path) -> dict[str, Mapping[str, float]]:
    found = _tables(tables, "prices", path)
    for model, table in found.items():
        if sorted(table) != sorted(PRICE_FIELDS):
            raise UsageError(
                f"{path}: prices.{model!r} has {', '.join(table) or 'no fields'}",
                hint=f"give all of {', '.join(PRICE_FIELDS)}, in dollars per million tokens",
            )
        for key, value in table.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
                raise UsageError(
                    f"{path}: prices.{model!r}.{key} must be dollars per million tokens, not {value!r}",
                    hint="write a number from 0 up",
                )
    return found


def _tables(tables: Any, name: str, path: Path) -> dict[str, Mapping[str, Any]]:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise UsageError(f"{path}: {name} must be a table of tables", hint=f"write fields below [{name}.<name>]")
    return tables


#: Less than this cannot work: importing the libraries alone takes most of a gibibyte of address space.
_LEAST = {"memory_gib": 1, "score_shots": 1, "verify_shots": 1}


def _profile(name: str, table: Any, path: Path) -> Profile:
    base = asdict(BUILTIN_PROFILES.get(name, BUILTIN_PROFILES["dev"]))
    if not isinstance(table, dict):
        raise UsageError(f"{path}: profiles.{name} must be a table", hint=f"write its fields below [profiles.{name}]")
    for key, value in table.items():
        if key not in base:
            raise UsageError(
                f"{path}: profiles.{name}.{key} is unknown", hint=f"known: {', '.join(f.name for f in fields(Profile))}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not _LEAST.get(key, 0) <= value <= 1e15:
            least = _LEAST.get(key, 0)
            hint = f"change it, or leave it out for {base[key]:,}"
            raise UsageError(
                f"{path}: profiles.{name}.{key} must be a number from {least} up, not {value!r}", hint=hint
            )
        base[key] = type(base[key])(value)
    return Profile(**base)


def load_settings(lab: Path | None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read settings.

    Args:
        lab: The lab's working tree; None for no file.
        flags: Values given on the command line; None values are ignored.

    Raises:
        UsageError: The file cannot be read, or a key or value is wrong; names file and key.
    """
    path = (lab or Path()) / CONFIG_FILE
    written = _read_file(path) if lab is not None else {}
    profiles = dict(BUILTIN_PROFILES)
    agents = _agents(written.pop("agents", {}), path)
    prices = _prices(written.pop("prices", {}), path)
    tables = written.pop("profiles", {})
    if not isinstance(tables, dict):
        raise UsageError(
            f"{path}: profiles must be a table of tables", hint="write a profile's fields below [profiles.<name>]"
        )
    for name, table in tables.items():
        profiles[name] = _profile(name, table, path)
    unknown = sorted(set(written) - set(BUILTIN))
    if unknown:
        raise UsageError(
            f"{path}: unknown setting {unknown[0]!r}", hint=f"known: {', '.join(BUILTIN)}, profiles, agents, prices"
        )
    values = {name: Setting(value, "built-in") for name, value in BUILTIN.items()}
    values |= {name: Setting(_coerced(name, value, str(path)), str(path)) for name, value in written.items()}
    for name in BUILTIN:
        variable = f"AUTOQEC_{name.upper()}"
        if os.environ.get(variable):
            values[name] = Setting(_coerced(name, os.environ[variable], variable), variable)
        if flags and flags.get(name) is not None:
            values[name] = Setting(_coerced(name, flags[name], f"--{name.replace('_', '-')}"), "flag")
    return Settings(values, profiles, agents, prices)


def config_template() -> str:
    """The text of a new lab's settings file: every simple setting with its built-in value."""
    lines = [
        "# Settings of this lab. A flag wins over an AUTOQEC_... variable, that over this file, that over the built-in value;",
        "# `autoqec doctor` shows every value with where it came from.",
    ]
    lines += [
        f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in BUILTIN.items()
    ]
    return "\n".join(lines) + "\n"
