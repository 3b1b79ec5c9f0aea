"""Files that a user gives as they are: which kind of code reads them, in which field, and whether they bring their noise.

Which files a kind reads is its capability `files`, such as `path=*.stim`: the field, and a pattern of the file's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

import stim
from pydantic import ValidationError

from autoqec.contained_files import read_contained
from autoqec.errors import NotFoundError, UsageError
from autoqec.json_values import JsonObject
from autoqec.problem.code_contract import Code
from autoqec.problem.environment import MAX_FILE_BYTES
from autoqec.problem.noise import Noise
from autoqec.problem.noisy import first_noise
from autoqec.strict_fields import checked_fields

#: Kind of code → its capability `files`.
Offers = Mapping[str, Sequence[str]]

#: What cannot stand in an environment's name.
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9_-]+")

_LONGEST_NAME = 64


@dataclass(frozen=True)
class GivenFiles:
    """Files of one code.

    Attributes:
        kind: The kind of code that reads them.
        paths: Where each is, by the dotted field of the code that names it, such as `paths.hx`.
        contents: What each holds, by the same.
    """

    kind: str
    paths: Mapping[str, Path]
    contents: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """A name for an environment that is made of them."""
        first = next(iter(self.paths.values()))
        stem = (first if len(self.paths) == 1 else first.absolute().parent).stem.lower()
        return _NOT_IN_A_NAME.sub("_", stem).strip("_-")[:_LONGEST_NAME] or self.kind

    def code(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The section `code` of an environment beside which the files lie under these names."""
        fields: dict[str, Any] = {"kind": self.kind}
        for field in self.paths:
            *outer, last = field.split(".")
            place = fields
            for step in outer:
                place = place.setdefault(step, {})
            place[last] = names[field]
        return fields


def is_given_file(text: str, offers: Offers) -> bool:
    """Whether what names an environment names a file that some kind of code reads, or a folder."""
    path = Path(text)
    known = any(fnmatch(path.name.lower(), pattern) for _, _, pattern in _patterns(offers))
    return known or (os.sep in text and path.is_dir())


def read_given(paths: Sequence[Path], offers: Offers) -> GivenFiles:
    """Read files, or those of a folder that a kind of code knows.

    Args:
        paths: Files, or one folder.
        offers: What each kind of code reads.

    Raises:
        NotFoundError: There is no such file.
        UsageError: No kind of code reads them, or several do; one is too large, or no plain file.
    """
    for path in paths:
        if not path.exists():
            raise NotFoundError(f"there is no file {path}", hint=f"ls {path.parent}")
    of_a_folder = len(paths) == 1 and paths[0].is_dir()
    files = sorted(each for each in paths[0].iterdir() if each.is_file()) if of_a_folder else list(paths)
    fitting = {kind: _assigned(files, patterns, others=of_a_folder) for kind, patterns in offers.items()}
    fitting = {kind: found for kind, found in fitting.items() if found}
    most = max(map(len, fitting.values()), default=0)
    kinds = [kind for kind, found in fitting.items() if len(found) == most]
    given = " ".join(map(str, paths))
    if not kinds:
        known = sorted({pattern for _, _, pattern in _patterns(offers)})
        raise UsageError(f"no kind of code reads {given}", hint=f"name the files {', '.join(known)}")
    if len(kinds) > 1:
        raise UsageError(
            f"{given} may be of kind {' or '.join(kinds)}", hint="name the files of one kind, each by --from"
        )
    found = fitting[kinds[0]]
    return GivenFiles(kinds[0], found, {field: _read(path) for field, path in found.items()})


def brings_noise(code: Code, fields: JsonObject, files: Mapping[str, bytes]) -> bool:
    """Whether the files of a code bring noise, so that an environment adds none.

    Args:
        code: The code.
        fields: Its section of the environment without `kind`.
        files: By their names in the fields.

    Raises:
        UsageError, ValidationError: The files or the fields cannot be used.
    """
    config = checked_fields(code.Config, fields)
    try:
        built = code.build(config, Noise(), None, files)
    except UsageError as error:
        if error.problem.startswith("noise."):
            return False
        raise
    return not isinstance(built, stim.Circuit) or first_noise(built) is not None


def fitting_noise(code: Code, fields: JsonObject, files: Mapping[str, bytes], p: float) -> str | None:
    """The first kind of noise that a code of files can have; None if it can have none of those that need nothing but p."""
    config = checked_fields(code.Config, fields)
    for kind in get_args(Noise.model_fields["kind"].annotation):
        try:
            code.build(config, checked_fields(Noise, {"kind": kind, "p": [p]}), p, files)
        except (UsageError, ValidationError):
            continue
        return str(kind)
    return None


def _patterns(offers: Offers) -> list[tuple[str, str, str]]:
    parts = [(kind, each.partition("=")) for kind, listed in offers.items() for each in listed]
    return [(kind, field, pattern) for kind, (field, _, pattern) in parts]


def _assigned(files: Sequence[Path], listed: Sequence[str], *, others: bool) -> dict[str, Path]:
    """Files by field; none if a field has two, or a file has no field and `others` does not allow that."""
    found: dict[str, Path] = {}
    for path in files:
        fields = [
            field
            for field, _, pattern in (each.partition("=") for each in listed)
            if fnmatch(path.name.lower(), pattern)
        ]
        if not fields and others:
            continue
        if len(fields) != 1 or fields[0] in found:
            return {}
        found[fields[0]] = path
    return found


def _read(path: Path) -> bytes:
    """A file that the user named: it may be a link to anywhere."""
    try:
        return read_contained(path, path.resolve().parent, MAX_FILE_BYTES)
    except OSError as error:
        raise NotFoundError(f"cannot read {path}: {error.strerror}", hint=f"chmod +r {path}") from error
