"""Decides whether a candidate uses AutoQEC's own stages only, or brings code that must be sandboxed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autoqec.canonical import load_yaml
from autoqec.plugins import Registration, Registry

#: The distribution whose stages are trusted.
_OURS = "autoqec"


def stage_kinds(files: Mapping[str, bytes]) -> list[str]:
    """The kinds of a candidate's stages, in alphabetical order, each once; they need not exist.

    Args:
        files: Contents by path relative to the candidate directory; they need not be valid.

    Raises:
        UsageError: A stage's file is not YAML.
    """
    found = set()
    for path, data in files.items():
        if path.startswith("stages/") and not path.endswith(".py"):
            fields = load_yaml(data.decode("utf-8", "replace"), name=path)
            found.add(str(fields.get("kind")) if isinstance(fields, dict) else "None")
    return sorted(found)


def ours(kinds: Iterable[str], registry: Registry) -> list[str]:
    """Those stage kinds that we offer ourselves; the others need not exist."""
    found = [(kind, registry.entries.get(("stage", kind))) for kind in kinds]
    return [kind for kind, entry in found if entry is not None and _is_ours(entry)]


def _is_ours(entry: Registration) -> bool:
    return entry.distribution.split()[0] == _OURS


def needs_lock(files: Mapping[str, bytes], registry: Registry) -> bool:
    """Whether a candidate has a module of its own, or a stage kind from another distribution than AutoQEC.

    Args:
        files: As for `stage_kinds`.
        registry: Installed plugins.

    Raises:
        UsageError, NotFoundError: A stage's file is not YAML, or its kind is not installed.
    """
    if any(path.endswith(".py") for path in files):
        return True
    return not all(_is_ours(registry.get("stage", kind)) for kind in stage_kinds(files))
