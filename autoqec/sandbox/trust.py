"""Whether a candidate is choices among our own stages, or brings code that must be locked in before it runs."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.canonical import load_yaml
from autoqec.plugins import Registry

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


def is_ours(kind: str, registry: Registry) -> bool:
    """Whether a stage kind is trusted.

    Raises:
        NotFoundError: It is not installed.
    """
    return registry.get("stage", kind).distribution.split()[0] == _OURS


def needs_lock(files: Mapping[str, bytes], registry: Registry) -> bool:
    """Whether a candidate has a module of its own, or a stage of a kind that somebody else's distribution offers.

    Args:
        files: As for `stage_kinds`.
        registry: Installed plugins.

    Raises:
        UsageError, NotFoundError: A stage's file is not YAML, or its kind is not installed.
    """
    if any(path.endswith(".py") for path in files):
        return True
    return not all(is_ours(kind, registry) for kind in stage_kinds(files))
