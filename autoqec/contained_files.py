"""Reads a file that a repository names: a plain file of bounded size whose links do not lead out of the repository.

A cloned repository can hold a link to anything that its reader can read, such as a key. A parser's message would quote the
first word of it, and a run would store all of it in git. So what a link leads to is checked before it is opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from autoqec.errors import UsageError
from autoqec.size_limits import in_words


def repository_of(path: Path) -> Path:
    """Return the top of the repository that holds a file; the file's folder if there is none."""
    folder = Path(os.path.abspath(path)).parent  # without following links
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)


def read_contained(path: Path, top: Path, limit: int) -> bytes:
    """Read a file that must lie in a folder.

    Args:
        path: The file; it may be a link.
        top: The folder that it must lie in, links followed, and not in a `.git` below.
        limit: The most bytes that it may have.

    Raises:
        UsageError: It is a link that leads elsewhere, no plain file, or too large. The message quotes nothing of it.
        OSError: It cannot be opened.
    """
    try:
        real, inside = path.resolve(), top.resolve()
    except RuntimeError as error:  # a loop of links
        raise _refused(path, "is a link to itself") from error
    if not real.is_relative_to(inside) or ".git" in real.relative_to(inside).parts:
        raise _refused(path, f"is a link that leads out of {top}")
    descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # opening a pipe must not wait
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, "Is a directory", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "is no plain file")
        if status.st_size > limit:
            problem = f"{path} takes {in_words(status.st_size)}, over the limit of {in_words(limit)}, and was not read"
            raise UsageError(problem, code="over_limit", about={"file": str(path), "limit": limit})
        return file.read(limit + 1)


def _refused(path: Path, why: str) -> UsageError:
    hint = "put a copy of the file in its place"
    return UsageError(f"{path} {why}, so it was not read", hint=hint, code="linked_file", about={"file": str(path)})
