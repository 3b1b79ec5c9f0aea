"""The search space: candidates as flat choices, the fields that a search may vary, and their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from autoqec.agents.agent_contract import Context
from autoqec.canonical import dump_yaml, load_yaml
from autoqec.json_values import JsonObject

from .templates import Template, family_of, templates_for

#: Values to try in `training.yaml`, in order; the profile limits the shots.
TRAINING: Mapping[str, tuple[Any, ...]] = {
    "learning_rate": (0.003, 0.01, 0.02, 0.05, 0.1),
    "batch_size": (128, 256, 512),
    "loss": ("bce", "focal", "weighted_bce"),
}

#: Losses to try with matching decoders, which provide the logical gap.
LOSSES = ("bce", "focal", "weighted_bce", "logical_gap")

#: Thresholds to try with `hard_flip`: a wrong flip costs more than a correct flip gains.
THRESHOLDS = (0.5, 0.8, 0.9, 0.95)

#: Fields that have no effect for certain values of another field: field → (the other field, those values).
_SILENCED_BY: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "memory_value": ("memory", ("none",)),
    "memory_spread": ("memory", ("none", "scalar")),
}

#: Initial values of learned numbers, which have no effect when the number is inherited: field → (the field that switches
#: learning, its values for "not learned").
_STARTS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "scale": ("", ()),
    "damping_value": ("damping", ("fixed",)),
    "memory_value": ("", ()),
    "memory_spread": ("", ()),
}

#: A candidate as parsed files: path → fields.
Parsed = dict[str, dict[str, Any]]


def parse(files: Mapping[str, str]) -> Parsed:
    """Parse a candidate's files to mappings, except its code, which has no fields."""
    return {path: dict(_fields(path, text)) for path, text in files.items() if not _is_code(path)}


@lru_cache(maxsize=4096)  # an agent reads each past round many times for one reply
def _fields(path: str, text: str) -> JsonObject:
    return load_yaml(text, name=path)


def code_of(files: Mapping[str, str]) -> dict[str, str]:
    """Return the code files, which `parse` leaves out and a search does not change."""
    return {path: text for path, text in files.items() if _is_code(path)}


def _is_code(path: str) -> bool:
    return path.endswith(".py")


def unparse(parsed: Mapping[str, JsonObject]) -> dict[str, str]:
    """Write mappings as a candidate's files."""
    return {path: dump_yaml(dict(fields)) for path, fields in parsed.items()}


def was_tried(parsed: Parsed, code: Mapping[str, str], context: Context) -> bool:
    """Tell whether a past round had these stages, this code, and the given fields of training and output."""
    for past in context.history:
        other = parse(past.files)
        same = {p for p in parsed if p.startswith("stages/")} == {p for p in other if p.startswith("stages/")}
        if same and code == code_of(past.files):
            given = ((path, fields, other.get(path, {})) for path, fields in parsed.items())
            if all(before.get(name) == value for _, fields, before in given for name, value in fields.items()):
                return True
    return False


def template_files(template: Template, context: Context) -> dict[str, str]:
    """Return a template's files, with all fields of its stages, and training shots within the profile."""
    shots = min(int(template.training.get("shots", 0)), int(context.limits["train_shots"]))
    parsed: Parsed = {"training.yaml": {**template.training, "shots": shots}}
    for slug, fields in template.stages.items():
        properties = context.stages[fields["kind"]]["schema"]["properties"]
        defaults = {name: field["default"] for name, field in properties.items() if "default" in field}
        parsed[f"stages/{slug}/stage.yaml"] = defaults | dict(fields)
    if template.output:
        parsed["output.yaml"] = dict(template.output)
    return unparse(parsed)


def templates_here(context: Context) -> list[Template]:
    """Return the templates for this environment whose stage kinds are all installed."""
    return [
        template
        for template in templates_for(context.environment)
        if all(fields["kind"] in context.stages for fields in template.stages.values())
    ]


def choices(parsed: Parsed, context: Context) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return the fields of a candidate that a search may vary, as (path, field) → values in order."""
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    for path, fields in sorted(parsed.items()):
        space: Mapping[str, Sequence[Any]] = {}
        if path == "training.yaml":
            space = {**TRAINING, "loss": LOSSES} if family_of(context.environment) == "matching" else TRAINING
        elif path.startswith("stages/"):
            kind = context.stages.get(str(fields.get("kind")))
            space = kind["space"] if kind else {}
        elif path == "output.yaml" and fields.get("mode") == "hard_flip":
            space = {"threshold": THRESHOLDS}
        training = parsed.get("training.yaml", {})
        for field, values in sorted(space.items()):
            if _has_effect(field, fields, training):
                found[path, field] = tuple(values)
    return found


def _has_effect(field: str, fields: JsonObject, training: JsonObject) -> bool:
    """Tell whether another value of this field can change how the candidate decodes."""
    if fields is training:
        return training.get("shots") != 0
    if field in _SILENCED_BY:
        other, silent = _SILENCED_BY[field]
        if fields.get(other, silent[0]) in silent:
            return False
    if field in _STARTS and training.get("init") == "parents":
        switch, fixed = _STARTS[field]
        return bool(switch) and fields.get(switch, fixed[0]) in fixed
    return True
