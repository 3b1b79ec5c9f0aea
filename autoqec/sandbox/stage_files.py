"""Reads from a candidate's files which stage kinds it uses, and decides whether its process must be locked.

Only code of AutoQEC runs here: no validator of a stage kind, ours or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autoqec.canonical import load_yaml
from autoqec.plugins import Registry


def stage_kinds(files: Mapping[str, bytes]) -> list[str]:
    """The kinds of a candidate's stages, in alphabetical order, each once; they need not exist.

    Args:
        files: Contents by path relative to the candidate directory; they need not be valid.

    Raises:
        UsageError: A stage's file is not YAML.
    """
    return sorted({_kind(fields) for fields in _stages(files)})


def own_kinds(kinds: Iterable[str], registry: Registry) -> list[str]:
    """Those stage kinds that AutoQEC ships itself; the others need not exist."""
    found = [(kind, registry.entries.get(("stage", kind))) for kind in kinds]
    return [kind for kind, entry in found if entry is not None and entry.is_own]


def needs_lock(files: Mapping[str, bytes], registry: Registry) -> bool:
    """Whether a candidate has a module of its own, or a stage kind that AutoQEC does not ship.

    Args:
        files: As for `stage_kinds`.
        registry: Installed plugins.

    Raises:
        UsageError, NotFoundError: A stage's file is not YAML, or its kind is not installed.
    """
    if any(path.endswith(".py") for path in files):
        return True
    return not all(registry.get("stage", kind).is_own for kind in stage_kinds(files))


def stages_to_warm_up(files: Mapping[str, bytes], registry: Registry) -> tuple[str, ...]:
    """What a process may know of a candidate before its lock, as JSON objects, each once.

    Of a stage kind that AutoQEC ships: the fields of the stage. Of any other: only the kind.

    Args:
        files: As for `stage_kinds`.
        registry: Installed plugins.

    Raises:
        UsageError: A stage's file is not YAML.
    """
    found = []
    for fields in _stages(files):
        kind = _kind(fields)
        own = isinstance(fields, dict) and own_kinds([kind], registry)
        told = {name: value for name, value in fields.items() if name != "position"} if own else {"kind": kind}
        found.append(json.dumps(told, sort_keys=True, default=str))
    return tuple(dict.fromkeys(found))


def _stages(files: Mapping[str, bytes]) -> Iterator[Any]:
    """The contents of all files of stages, in the order of their paths."""
    for path in sorted(files):
        if path.startswith("stages/") and not path.endswith(".py"):
            yield load_yaml(files[path].decode("utf-8", "replace"), name=path)


def _kind(fields: Any) -> str:
    return str(fields.get("kind")) if isinstance(fields, dict) else "None"
