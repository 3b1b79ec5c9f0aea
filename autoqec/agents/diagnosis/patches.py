"""Mends as changes of fields: which values to write where, and the candidate's files with them written. Nothing is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoqec.agents.diagnosis.cases import Changes
from autoqec.candidate_paths import OUTPUT_FILE, TRAINING_FILE
from autoqec.canonical import dump_yaml, load_yaml
from autoqec.errors import UsageError
from autoqec.json_values import JsonObject

TRAINING, OUTPUT = TRAINING_FILE, OUTPUT_FILE

#: Below these, smaller makes little difference.
_LEAST_RATE = 1e-4
_LEAST_BATCH = 16

#: Fields of stages that say how much work they do, those that cost most for what they give first.
_SIZES = ("iterations", "layers", "channels", "hidden", "feed_forward", "width")


def fields_of(files: Mapping[str, str], path: str) -> dict[str, Any]:
    """The fields of a candidate's file; none if it is missing or cannot be read."""
    try:
        found = load_yaml(files.get(path, ""), name=path)
    except UsageError:
        return {}
    return found if isinstance(found, dict) else {}


def value_of(files: Mapping[str, str], path: str, name: str) -> float | None:
    """A field that is a number."""
    value = fields_of(files, path).get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def stage_files(files: Mapping[str, str]) -> list[str]:
    """The stages' YAML files."""
    return sorted(path for path in files if path.startswith("stages/") and path.endswith("/stage.yaml"))


def scaled_rate(files: Mapping[str, str], factor: float) -> Changes:
    """Another learning rate, to two digits; nothing where it would leave what makes sense."""
    rate = value_of(files, TRAINING, "learning_rate")
    scaled = float(f"{rate * factor:.2g}") if rate else 0.0
    return {TRAINING: {"learning_rate": scaled}} if _LEAST_RATE <= scaled <= 1 else {}


def scaled_batch(files: Mapping[str, str], factor: float) -> Changes:
    """Another batch size; nothing where it would be too small."""
    batch = value_of(files, TRAINING, "batch_size")
    scaled = int(batch * factor) if batch else 0
    return {TRAINING: {"batch_size": scaled}} if scaled >= _LEAST_BATCH else {}


def calmer(files: Mapping[str, str]) -> Changes:
    """A third of the learning rate; where that is small already, twice the batch, whose gradients are less noisy."""
    return scaled_rate(files, 1 / 3) or scaled_batch(files, 2)


def smaller_stages(files: Mapping[str, str]) -> Changes:
    """Half as much work in every stage that can do less."""
    changes: dict[str, dict[str, Any]] = {}
    for path in stage_files(files):
        fields = fields_of(files, path)
        name = next((n for n in _SIZES if type(fields.get(n)) is int and fields[n] > 1), None)
        if name is not None:
            changes[path] = {name: fields[name] // 2}
    return changes


def patched_files(files: Mapping[str, str], changes: Changes) -> dict[str, str]:
    """The files with changes made, in canonical spelling.

    Raises:
        UsageError, TypeError, ValueError: A file that is changed cannot be read, or not be written.
    """
    written = dict(files)
    for path, fields in changes.items():
        old = load_yaml(files.get(path, ""), name=path)
        if old is not None and not isinstance(old, dict):
            raise UsageError(f"{path} is not a mapping of fields")
        # A field that becomes None goes: that is how a misspelt name is replaced.
        merged = {**(old or {}), **fields}
        written[path] = dump_yaml({name: value for name, value in merged.items() if not _goes(name, fields)})
    return written


def _goes(name: str, fields: JsonObject) -> bool:
    return name in fields and fields[name] is None
