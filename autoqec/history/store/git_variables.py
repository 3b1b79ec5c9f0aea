"""Git's environment variables that say where a repository is: each is honoured, or refused with a word, and none is ignored."""

from __future__ import annotations

import os
from pathlib import Path

from autoqec.errors import UsageError

#: Variables with which git would read other objects or refs than those of the repository that is found.
_REFUSED = (
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
)


def ceilings() -> str:
    """Folders above which no repository is looked for, as git spells them; empty for no limit."""
    return os.environ.get("GIT_CEILING_DIRECTORIES", "")


def across_filesystems() -> bool:
    """Whether a repository is looked for on other filesystems than the current folder's."""
    return os.environ.get("GIT_DISCOVERY_ACROSS_FILESYSTEM", "").lower() in ("1", "true", "yes", "on")


def require_same_repository(git_dir: Path, common: Path, workdir: Path | None) -> None:
    """Refuse variables that name another repository than the one that was found. A hook of this one sets them too.

    Args:
        git_dir: The git directory that was found.
        common: The git directory that linked worktrees share.
        workdir: The top of the working tree.

    Raises:
        UsageError: Git would work elsewhere; names the variable.
    """
    here = {"GIT_DIR": git_dir, "GIT_COMMON_DIR": common, "GIT_WORK_TREE": workdir}
    for name, place in here.items():
        told = os.environ.get(name)
        if told and (place is None or Path(told).resolve() != place.resolve()):
            raise UsageError(
                f"{name} names {told}, but the lab here is {place}", hint=f"unset {name}, then cd into the lab you mean"
            )
    for name in _REFUSED:
        told = os.environ.get(name)
        if told and not (name == "GIT_OBJECT_DIRECTORY" and Path(told).resolve() == (common / "objects").resolve()):
            raise UsageError(f"{name} is set, and a lab is not read with it", hint=f"unset {name}")
