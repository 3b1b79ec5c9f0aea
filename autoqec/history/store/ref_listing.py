"""Lists refs from git's files: loose refs below `refs/`, then `packed-refs`.

libgit2 reads packed refs first and loose refs second, so it misses a ref that `git gc` packs in between. The other order
misses nothing: git writes a ref into `packed-refs` before it removes the file. This reader also parses 20,000 packed refs
in the time that libgit2 needs for 2,000.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path

from autoqec.history.store.dropped_refs import DROPPED

_OID = re.compile(rb"[0-9a-f]{40}")
_PACKED = "packed-refs"


def read_refs(git_dir: Path, prefixes: Sequence[str]) -> dict[str, str]:
    """Return all refs whose names start with one of the prefixes, with their values.

    Args:
        git_dir: The common git directory.
        prefixes: Beginnings of full ref names, each starting with `refs/`.

    Returns:
        The oid by ref name, or the name of another ref for a symbolic ref. Lock files and damaged files are left out;
        `git fsck` reports them.

    Raises:
        OSError: The ref files are not readable.
    """
    loose: dict[str, str] = {}
    for prefix in prefixes:
        folder = prefix[: prefix.rindex("/") + 1]
        for name in _files(git_dir, folder):
            if name.startswith(prefix) and (held := _read_loose(git_dir / name)) is not None:
                loose[name] = held
    return dict(_packed(git_dir, prefixes)) | loose


def used_numbers(git_dir: Path, run: str, kinds: Sequence[str]) -> frozenset[int]:
    """Return every N for which a ref ends in `/<kind>/<run>/<N>`, in this lab or as fetched from a remote.

    It looks only where such refs can be, and reads `packed-refs` only after a change, so claiming a round costs the same
    in a lab of ten and of ten thousand rounds.
    """
    names = [name for kind in kinds for folder in _folders(git_dir, kind) for name in _names(git_dir / folder / run)]
    try:  # after the loose refs; git replaces the file to change it
        stat = (git_dir / _PACKED).stat()
    except FileNotFoundError:
        return numbers_in(names)
    return numbers_in(names) | _packed_numbers(
        git_dir, (stat.st_ino, stat.st_mtime_ns, stat.st_size), run, tuple(kinds)
    )


@lru_cache(maxsize=8)
def _packed_numbers(git_dir: Path, stamp: tuple[int, int, int], run: str, kinds: tuple[str, ...]) -> frozenset[int]:
    """Return the used numbers in `packed-refs`; `stamp` identifies the version of the file."""
    ends = tuple(f"/{kind}".encode() for kind in kinds)
    pieces = pairwise(_packed_bytes(git_dir).split(f"/{run}/".encode()))
    return numbers_in(
        after[:12].partition(b"\n")[0].decode("ascii", "replace") for before, after in pieces if before.endswith(ends)
    )


def numbers_in(names: Iterable[str]) -> frozenset[int]:
    """Those of some last parts of refs that are numbers, as rounds and attempts have them."""
    return frozenset(int(n) for n in names if n.isascii() and n.isdecimal() and n[0] != "0" and len(n) < 10)


def _folders(git_dir: Path, kind: str) -> Iterator[str]:
    yield f"refs/heads/{kind}"
    yield f"refs/autoqec/{kind}"
    yield f"{DROPPED}{kind}"  # the number of a dropped round is never given again
    for above in ("refs/remotes", "refs/autoqec-remote"):
        yield from _below(git_dir, above, kind)


def _below(git_dir: Path, above: str, kind: str) -> Iterator[str]:
    """Find folders with a name at any depth below another; a remote's name may contain slashes."""
    for name in _names(git_dir / above):
        if name == kind:
            yield f"{above}/{name}"
        elif (git_dir / above / name).is_dir():
            yield from _below(git_dir, f"{above}/{name}", kind)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(git_dir: Path, folder: str) -> Iterator[str]:
    """Yield the names of all files below a folder; `folder` ends in a slash."""
    try:
        entries = list(os.scandir(git_dir / folder))
    except (FileNotFoundError, NotADirectoryError):
        return  # git removes empty folders
    for entry in entries:
        if entry.is_dir():
            yield from _files(git_dir, f"{folder}{entry.name}/")
        elif not entry.name.endswith(".lock"):
            yield folder + entry.name


def _read_loose(path: Path) -> str | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None  # packed or deleted in between; if packed, `packed-refs` has it
    if data.startswith(b"ref: "):
        return data[5:].strip().decode(errors="replace")
    return data[:40].decode() if _OID.match(data) else None


def _packed_bytes(git_dir: Path) -> bytes:
    try:
        return (git_dir / _PACKED).read_bytes()
    except FileNotFoundError:
        return b""


def many_loose_refs(git_dir: Path, many: int) -> bool:
    """Tell whether so many refs have files of their own, each of which every listing of refs opens."""
    files = _files(git_dir, "refs/")
    return next(islice(files, many, None), None) is not None


def _packed(git_dir: Path, prefixes: Sequence[str]) -> Iterator[tuple[str, str]]:
    try:
        stat = (git_dir / _PACKED).stat()
    except FileNotFoundError:
        return
    wanted = tuple(prefixes)
    for name, oid in _packed_refs(git_dir, (stat.st_ino, stat.st_mtime_ns, stat.st_size)):
        if name.startswith(wanted):
            yield name, oid


@lru_cache(maxsize=8)
def _packed_refs(git_dir: Path, stamp: tuple[int, int, int]) -> tuple[tuple[str, str], ...]:
    """Return every ref in `packed-refs`; `stamp` identifies the version of the file."""
    # A ref's line is an oid, a space and a name; other lines are the header and targets of annotated tags (`^…`).
    lines = _packed_bytes(git_dir).decode(errors="surrogateescape").split("\n")
    return tuple((line[41:], line[:40]) for line in lines if line.startswith("refs/", 41))
