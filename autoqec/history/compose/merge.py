"""Three-way merge of candidates, key by key in YAML files.

The merge compares each value (a file, or a key in a YAML file) between every two rounds and their merge base. If one round
changed the value and the other did not, the change wins. If both changed it differently, that is a conflict. The result does
not depend on the order of the rounds. A list is one value. The merge never resolves a conflict in favour of one side.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import pygit2
from pygit2.enums import FileMode

from autoqec.canonical import dump_json, dump_yaml, load_yaml
from autoqec.errors import UsageError
from autoqec.history.compose.ancestry import Pair, best_bases
from autoqec.history.rounds.round_commits import read_candidate
from autoqec.history.store.objects import check_files, persist
from autoqec.history.store.repository import Ledger

_ABSENT: Any = object()


@dataclass(frozen=True)
class Conflict:
    """Two rounds changed one value differently.

    Attributes:
        path: The file, relative to the candidate's folder.
        field: The key, with dots for nested keys; None for the whole file.
        base, ours, theirs: The value in the merge base and in the two rounds; None where absent. Whole files are text,
            with escapes for bytes that are not UTF-8.
        between: The oids of the two commits, ours first.
    """

    path: str
    field: str | None
    base: Any
    ours: Any
    theirs: Any
    between: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Merge:
    """The result of a merge: the merged files and the conflicts. A file with a conflict is not among the files."""

    files: dict[str, bytes]
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True)
class _Sides:
    """One value in each round, and in the merge bases of each two rounds (or `_ABSENT`)."""

    values: list[Any]
    bases: dict[Pair, list[Any]]

    def inside(self, key: str) -> _Sides:
        return _Sides(
            [_get(value, key) for value in self.values],
            {pair: [_get(base, key) for base in bases] for pair, bases in self.bases.items()},
        )

    def map(self, function: Any) -> _Sides:
        return _Sides(
            [function(value) for value in self.values],
            {pair: [function(base) for base in bases] for pair, bases in self.bases.items()},
        )


@dataclass(frozen=True)
class _Settled:
    """The merged value, or the first two rounds that conflict, and the rounds whose values nobody replaced."""

    value: Any
    disagree: Pair | None
    standing: list[int]


def merge_candidates(ledger: Ledger, base: str, commits: Sequence[str]) -> Merge:
    """Merge the candidates of several rounds.

    Args:
        ledger: The lab.
        base: The run's base, from which all commits descend.
        commits: Oids of two to eight rounds' commits, none an ancestor of another.

    Returns:
        The merged files and the conflicts; the merge is clean if there are no conflicts.

    Raises:
        UsageError: There are too few or too many commits, one occurs twice, or one descends from another.
        AutoQECError: The commits have no common history, or a candidate is not readable.
    """
    commits = sorted(commits)
    pairs = best_bases(ledger, base, commits)
    candidates = {oid: read_candidate(ledger, oid) for oid in {*commits, *chain(*pairs.values())}}
    whole = _Sides([candidates[oid] for oid in commits], {p: [candidates[o] for o in old] for p, old in pairs.items()})
    files: dict[str, bytes] = {}
    conflicts: list[Conflict] = []
    for path in sorted({path for files_of_one in whole.values for path in files_of_one}):
        found: list[tuple[str | None, _Sides, Pair]] = []
        merged = _merge_file(ledger, path, whole.inside(path), found)
        if not found and merged is not _ABSENT:
            files[path] = merged
        for field, sides, (i, j) in found:
            old, ours, theirs = (_plain(v) for v in (sides.bases[i, j][0], sides.values[i], sides.values[j]))
            conflicts.append(Conflict(path, field, old, ours, theirs, (commits[i], commits[j])))
    check_files(files)  # a file on one side can be a folder on another
    return Merge(files, tuple(sorted(conflicts, key=lambda conflict: (conflict.path, conflict.field or ""))))


def _merge_file(ledger: Ledger, path: str, sides: _Sides, found: list[tuple[str | None, _Sides, Pair]]) -> bytes | Any:
    settled = _settle(sides, key=lambda data: data)
    if settled.disagree is None:
        return settled.value
    if path.endswith((".yaml", ".yml")):
        try:
            parsed = sides.map(lambda data: _ABSENT if data is _ABSENT else _load_mapping(data, path))
            merged = _merge_value(parsed, "", found)
            return merged if found or merged is _ABSENT else dump_yaml(merged).encode()
        except (UsageError, TypeError, ValueError):
            found.clear()  # one side is not canonical YAML, so compare the whole file
    else:
        text = _merge_text(ledger, path, sides, settled.standing)
        if text is not None:
            return text
    found.append((None, sides, settled.disagree))
    return _ABSENT


def _settle(sides: _Sides, key: Any) -> _Settled:
    keys: list[Hashable] = [_ABSENT if value is _ABSENT else key(value) for value in sides.values]
    given_up: set[Hashable] = set()
    disagree: Pair | None = None
    for (i, j), bases in sides.bases.items():
        if keys[i] == keys[j]:
            continue
        old = {_ABSENT if base is _ABSENT else key(base) for base in bases}
        if (keys[i] in old) == (keys[j] in old):
            disagree = disagree or (i, j)
        else:
            given_up.add(keys[i] if keys[i] in old else keys[j])
    first = {value: i for i, value in reversed(list(enumerate(keys)))}
    standing = sorted(i for value, i in first.items() if value not in given_up)
    if disagree is None and len(standing) != 1:
        disagree = next((i, j) for i, j in sides.bases if keys[i] != keys[j])  # a cycle: each value replaces another
    return _Settled(sides.values[standing[0]] if disagree is None else None, disagree, standing)


def _merge_value(sides: _Sides, name: str, found: list[tuple[str | None, _Sides, Pair]]) -> Any:
    # As JSON, because 1, 1.0 and true are equal in Python but not in a file.
    settled = _settle(sides, key=dump_json)
    if settled.disagree is None:
        return settled.value
    if not all(value is _ABSENT or isinstance(value, dict) for value in sides.values):
        found.append((name or None, sides, settled.disagree))
        return _ABSENT
    merged: dict[str, Any] = {}
    for key in sorted({key for value in sides.values if value is not _ABSENT for key in value}):
        value = _merge_value(sides.inside(key), f"{name}.{key}" if name else key, found)
        if value is not _ABSENT:
            merged[key] = value
    return merged if merged or _ABSENT not in sides.values else _ABSENT


def _merge_text(ledger: Ledger, path: str, sides: _Sides, standing: list[int]) -> bytes | None:
    """Merge the remaining versions line by line; None if they conflict or are not text."""
    merged = sides.values[standing[0]] if standing else _ABSENT
    for other in standing[1:]:
        versions = (sides.bases[standing[0], other][0], merged, sides.values[other])
        if any(version is _ABSENT or not _is_text(version) for version in versions):
            return None
        blobs = (pygit2.Oid(hex=persist(partial(ledger.repo.create_blob, version))) for version in versions)
        old, ours, theirs = (pygit2.IndexEntry(path, blob, FileMode.BLOB) for blob in blobs)
        result = ledger.repo.merge_file_from_index(old, ours, theirs)
        if not result.automergeable:
            return None
        merged = result.contents.encode()
    return None if merged is _ABSENT or len(standing) < 2 else merged


def _load_mapping(data: bytes, path: str) -> dict[str, Any]:
    mapping = load_yaml(data, name=path)
    if not isinstance(mapping, dict):
        raise UsageError(f"{path} is not a mapping")
    return mapping


def _get(value: Any, key: str) -> Any:
    return value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def _plain(value: Any) -> Any:
    if value is _ABSENT:
        return None
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
