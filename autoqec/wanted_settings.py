"""What a repository's settings file asks for beyond what any repository may set, and which files the user trusts.

Whoever can write to a repository can write its settings file. A file is trusted by its path and its contents together, as direnv
does: a clone elsewhere, or a changed file, asks again. The record of that is the user's, outside all repositories.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoqec.settings_schema import BUILTIN_PROFILES, Profile, SettingsFile
from autoqec.user_folders import user_folder

#: Set to 1 to use the settings of every repository without asking, on a machine where all repositories are yours.
TRUST_VARIABLE = "AUTOQEC_TRUST_LABS"

#: What no profile of a repository may exceed unasked: the larger built-in profile.
_MOST = BUILTIN_PROFILES["prod"]


@dataclass(frozen=True)
class Wanted:
    """A value that a repository's file asks for.

    Attributes:
        name: The setting: its name, or the name of a table such as `agents.coder`.
        value: The value.
        meaning: What the setting does, in a sentence.
    """

    name: str
    value: Any
    meaning: str


def wanted(file: SettingsFile) -> tuple[Wanted, ...]:
    """What a file asks for, in the order of the schema. A built-in value asks for nothing."""
    found = []
    for name in SettingsFile.model_fields:
        whose, value = SettingsFile.whose(name), getattr(file, name)
        if name not in file.model_fields_set or value == SettingsFile.model_fields[name].default or whose == "lab":
            continue
        meaning = SettingsFile.meaning(name)
        if name == "profiles":
            found += [Wanted(f"profiles.{key}", _over(each), meaning) for key, each in value.items() if _over(each)]
        elif isinstance(value, dict):
            found += [Wanted(f"{name}.{key}", _plain(each), meaning) for key, each in value.items()]
        elif not (whose == "bounded" and value <= len(os.sched_getaffinity(0))):
            found.append(Wanted(name, value, meaning))
    return tuple(found)


def _over(profile: Profile) -> dict[str, float]:
    """The fields of a profile that exceed every built-in profile; no time limit on a verdict is more than any."""
    fields = {name: float(value) for name, value in profile.model_dump().items() if value > getattr(_MOST, name)}
    if not profile.verify_seconds:
        fields["verify_seconds"] = 0.0
    return fields


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else value


def trust_file(lab: Path, data: bytes) -> None:
    """Note that the user trusts a lab's settings file with these contents."""
    record = _record(lab, data)
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = record.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(_about(lab, data)) + "\n")
    part.replace(record)


def forget_file(lab: Path, data: bytes) -> bool:
    """Take the user's trust in a file back; False if there was none."""
    record = _record(lab, data)
    known = record.is_file()
    record.unlink(missing_ok=True)
    return known


def is_trusted(lab: Path, data: bytes) -> bool:
    """Whether the user trusts a lab's settings file with these contents, or trusts every repository."""
    if os.environ.get(TRUST_VARIABLE) == "1":
        return True
    try:
        return bool(json.loads(_record(lab, data).read_text()) == _about(lab, data))
    except (OSError, ValueError, RuntimeError):  # there is no such record, or no home
        return False


def _about(lab: Path, data: bytes) -> Mapping[str, str]:
    return {"lab": str(lab.resolve()), "sha256": hashlib.sha256(data).hexdigest()}


def _record(lab: Path, data: bytes) -> Path:
    name = hashlib.sha256(json.dumps(_about(lab, data), sort_keys=True).encode()).hexdigest()
    return user_folder("XDG_STATE_HOME", ".local/state") / "trusted" / f"{name}.json"
