"""Listing refs as git keeps them: one file each below `refs/`, and the rest in `packed-refs`.

libgit2 lists packed refs first and loose ones second, so one that `git gc` packs between the two is in neither. Read in
the other order nothing is missed: git puts a ref into `packed-refs` before it removes the file. One pass is then enough,
and it parses 20,000 packed refs in the time in which libgit2 makes objects of a tenth of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

_OID = re.compile(rb"[0-9a-f]{40}")
_PACKED = "packed-refs"


def read_refs(git_dir: Path, prefixes: Sequence[str]) -> dict[str, str]:
    """All refs whose names start with one of the prefixes, with what each holds.

    Args:
        git_dir: The common git directory.
        prefixes: Beginnings of full ref names, each starting with `refs/`.

    Returns:
        An oid by name, or the name of another ref for a symbolic one. What is not a ref (lock files, torn files) is
        left out; `git fsck` and reading that very ref say more.

    Raises:
        OSError: The refs cannot be read.
    """
    loose: dict[str, str] = {}
    for prefix in prefixes:
        folder = prefix[: prefix.rindex("/") + 1]
        for name in _files(git_dir, folder):
            if name.startswith(prefix) and (held := _read_loose(git_dir / name)) is not None:
                loose[name] = held
    return dict(_packed(git_dir, prefixes)) | loose


def used_numbers(git_dir: Path, run: str, kinds: Sequence[str]) -> frozenset[int]:
    """Every N for which a ref ends in `/<kind>/<run>/<N>`, here or as fetched from a remote.

    Looks only where such refs can be, and into `packed-refs` only when it is a new one, so that claiming the next round
    costs the same in a lab of ten and of ten thousand.
    """
    names = [name for kind in kinds for folder in _folders(git_dir, kind) for name in _names(git_dir / folder / run)]
    try:  # after the loose ones; whoever changes the file puts another in its place
        stat = (git_dir / _PACKED).stat()
    except FileNotFoundError:
        return _numbers(names)
    return _numbers(names) | _packed_numbers(git_dir, (stat.st_ino, stat.st_mtime_ns, stat.st_size), run, tuple(kinds))


@lru_cache(maxsize=8)
def _packed_numbers(git_dir: Path, stamp: tuple[int, int, int], run: str, kinds: tuple[str, ...]) -> frozenset[int]:
    """The used numbers that `packed-refs` names; `stamp` is what tells one such file from another."""
    ends = tuple(f"/{kind}".encode() for kind in kinds)
    pieces = pairwise(_packed_bytes(git_dir).split(f"/{run}/".encode()))
    return _numbers(
        after[:12].partition(b"\n")[0].decode("ascii", "replace") for before, after in pieces if before.endswith(ends)
    )


def _numbers(names: Iterable[str]) -> frozenset[int]:
    return frozenset(int(n) for n in names if n.isascii() and n.isdecimal() and n[0] != "0" and len(n) < 10)


def _folders(git_dir: Path, kind: str) -> Iterator[str]:
    yield f"refs/heads/{kind}"
    yield f"refs/autoqec/{kind}"
    for above in ("refs/remotes", "refs/autoqec-remote"):
        yield from _below(git_dir, above, kind)


def _below(git_dir: Path, above: str, kind: str) -> Iterator[str]:
    """Folders of a name below another, at any depth: a remote's name may have slashes in it."""
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
    """The names of all files below a folder, which ends in a slash."""
    try:
        entries = list(os.scandir(git_dir / folder))
    except (FileNotFoundError, NotADirectoryError):
        return  # git removes folders that it has emptied
    for entry in entries:
        if entry.is_dir():
            yield from _files(git_dir, f"{folder}{entry.name}/")
        elif not entry.name.endswith(".lock"):
            yield folder + entry.name


def _read_loose(path: Path) -> str | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None  # packed or deleted meanwhile; if packed, it is found there
    if data.startswith(b"ref: "):
        return data[5:].strip().decode(errors="replace")
    return data[:40].decode() if _OID.match(data) else None


def _packed_bytes(git_dir: Path) -> bytes:
    try:
        return (git_dir / _PACKED).read_bytes()
    except FileNotFoundError:
        return b""


def _packed(git_dir: Path, prefixes: Sequence[str]) -> Iterator[tuple[str, str]]:
    wanted = tuple(prefixes)
    for line in _packed_bytes(git_dir).decode(errors="surrogateescape").split("\n"):
        # A line is an oid, a space and a name; others are the header, and what an annotated tag points at (`^…`).
        if line.startswith(wanted, 41):
            yield line[41:], line[:40]
