"""Objects that a repository lacks, whatever the reason, and what brings them back.

A partial clone leaves out contents on purpose, and git fetches them when it needs them; libgit2, which reads the lab, does not.
"""

from __future__ import annotations

from pathlib import Path

import pygit2

from autoqec.errors import AutoQECError

#: What libgit2 says of an object that is not there.
_WORDS = ("object not found", "unable to read tree", "no match for id", "cannot find object", "failed to find object")

#: How git spells that something is so.
_TRUE = ("true", "yes", "on", "1")


def missing_object(error: BaseException, repo: pygit2.Repository | None) -> AutoQECError | None:
    """Describe an error of libgit2 about an object that is not there; None for any other error.

    Args:
        error: The error.
        repo: The repository, if there is one.
    """
    said = str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip("'")
    if not isinstance(error, KeyError | ValueError | pygit2.GitError) or not any(
        word in said.lower() for word in _WORDS
    ):
        return None
    hint = missing_hint(repo) if repo is not None else "git fsck"
    return AutoQECError(f"an object is missing from this repository: {said}", hint=hint, code="missing_object")


def missing_hint(repo: pygit2.Repository) -> str:
    """What brings back objects that a repository lacks."""
    for path in gone_alternates(repo):
        return f"bring back {path}, which objects/info/alternates names, or clone the repository again"
    names = promisors(repo)
    if names:
        return f"this is a partial clone, which leaves objects out: autoqec pull {names[0]} fetches what rounds need"
    return "git fsck names what is missing, and autoqec pull fetches it from a remote that has it"


def promisors(repo: pygit2.Repository) -> list[str]:
    """The remotes from which a partial clone gets the objects that it leaves out; none in a clone that is whole."""
    said = {str(remote.name): repo.config.get_multivar(f"remote.{remote.name}.promisor") for remote in repo.remotes}
    return [name for name, values in said.items() if any(str(value).lower() in _TRUE for value in values)]


def gone_alternates(repo: pygit2.Repository) -> list[Path]:
    """Folders of objects that a repository borrows from and that are not there."""
    pointer = Path(repo.path) / "commondir"
    common = (Path(repo.path) / pointer.read_text().strip()) if pointer.is_file() else Path(repo.path)
    objects = common / "objects"
    listed = objects / "info" / "alternates"
    lines = listed.read_text(errors="replace").splitlines() if listed.is_file() else []
    paths = [objects / line for line in lines if line.strip() and not line.startswith("#")]
    return [path for path in paths if not path.is_dir()]
