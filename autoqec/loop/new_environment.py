"""Writes a new environment and the files that it names: all of them, once rounds can run on it, or none."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from autoqec.errors import UsageError
from autoqec.loop.drafted_environment import Changes, drafted
from autoqec.plugins import Registry
from autoqec.problem.environment import ENVIRONMENT_FILE, LoadedEnvironment
from autoqec.problem.given_files import GivenFiles

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def require_name(name: str) -> None:
    """Refuse what is no name of an environment, such as a path.

    Raises:
        UsageError: It is none; the hint is a command that does what was probably meant.
    """
    if _NAME.fullmatch(name):
        return
    path = PurePosixPath(name)
    stem = re.sub(r"[^a-z0-9_-]+", "_", path.name.removesuffix(".yaml").lower()).strip("_-")[:64] or "mine"
    folder = f" --folder {path.parent}" if "/" in name else ""
    raise UsageError(
        f"{name!r} is not an environment name: use lower-case letters, digits, _ and -",
        hint=f"autoqec env new {stem}{folder}",
    )


def new_environment(
    folder: Path,
    name: str,
    story: str,
    like: LoadedEnvironment,
    changes: Changes,
    registry: Registry,
    given: GivenFiles | None = None,
) -> tuple[Path, LoadedEnvironment]:
    """Write an environment and the files of its code, once it is known that rounds can run on it.

    Args:
        folder: Where to; it is made if it is not there.
        name: The environment's name, and that of its file.
        story: Its description for people.
        like: The environment to copy, with the files that its code names.
        changes: Dotted fields and their values. A changed field may name a file in the folder.
        registry: Installed plugins.
        given: Files that are its code, instead of those of `like`.

    Returns:
        The file that was written, and the environment.

    Raises:
        UsageError, NotFoundError: The name is none, the file exists, or the environment is invalid. Nothing was written then.
    """
    require_name(name)
    path = folder / f"{name}.yaml"
    if os.path.lexists(path):
        raise UsageError(
            f"{path} exists already", hint=f"choose another name, or edit the file: autoqec env check {path}"
        )
    names = None if given is None else _names(given, name, folder)
    loaded = drafted(name, story, like, changes, registry, given=given, names=names, beside=folder)
    _write(path, loaded)
    return path, loaded


def _names(given: GivenFiles, name: str, folder: Path) -> dict[str, str]:
    """What each file is called beside the environment: as now if it lies there or nothing there has its name."""
    names: dict[str, str] = {}
    for field, path in given.paths.items():
        wanted = [path.name] if path.name != ENVIRONMENT_FILE else []
        own = f"{name}_{field.rpartition('.')[2]}" if "." in field else name
        wanted += [f"{own}-{number}{path.suffix}" if number else f"{own}{path.suffix}" for number in range(1000)]
        names[field] = next(
            each
            for each in wanted
            if each not in names.values() and (not os.path.lexists(folder / each) or _same(folder / each, path))
        )
    return names


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)


def _write(path: Path, loaded: LoadedEnvironment) -> None:
    """Write the files of the code that are not there yet, and the YAML last; take all back if one cannot be written."""
    written: list[Path] = []
    made = [each for each in (path.parent, *path.parent.parents) if not each.exists()]
    wanted: Mapping[Path, bytes] = {
        **{path.parent / name: data for name, data in loaded.files_of_code.items()},
        path: loaded.files[ENVIRONMENT_FILE],
    }
    try:
        for target, data in wanted.items():
            if target != path and target.is_file() and target.read_bytes() == data:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as stream:
                written.append(target)
                stream.write(data)
    except BaseException as error:
        for target in written:
            target.unlink(missing_ok=True)
        for folder in made:  # the deepest first
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()
        if isinstance(error, FileExistsError):
            raise UsageError(f"{error.filename} exists already", hint="choose another name") from error
        if isinstance(error, OSError):
            raise UsageError(f"cannot write {error.filename or path}: {error.strerror}") from error
        raise
