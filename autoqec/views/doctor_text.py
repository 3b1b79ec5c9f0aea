"""Prints settings with their sources, and what the machine has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from autoqec.views.installed_text import print_facts
from autoqec.views.shown_paths import shown_path

if TYPE_CHECKING:
    from autoqec.config import Settings


#: What zero means in these settings.
_ZERO = {
    "jobs": ", one per processor",
    "max_wall": ", no limit",
    "max_tokens": ", no limit",
    "max_cost": ", no limit",
    "patience": ", no limit",
}


def print_doctor(facts: Mapping[str, str], settings: Settings, lab: Path | None) -> None:
    """Every fact on a line; settings in words, with the file they come from relative to the lab.

    Args:
        facts: All facts, in order, as the JSON object has them.
        settings: The settings among them.
        lab: The lab's working tree.
    """
    shown: dict[str, object] = dict(facts)
    for name, setting in settings.values.items():
        zero = _ZERO.get(name) if setting.value == 0 else None
        shown[name] = f"{value_words(setting.value)}{zero or ''}  ({shown_path(setting.source, lab)})"
    for each in settings.withheld:
        shown[f"not used: {each.name}"] = f"{value_words(each.value)}  (autoqec trust)"
    for name, profile in settings.profiles.items():
        shown[f"profile {name}"] = tuple(f"{key} {value_words(value)}" for key, value in profile.model_dump().items())
    print_facts(shown)


def value_words(value: object) -> str:
    """A setting's value as you would write it: `yes`, `none`, `3,600`."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_words(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(value_words, value)) or "none"
    return str(value)
