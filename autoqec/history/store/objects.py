"""Trees and blobs: reads a folder of a commit as a dict of files, and writes such a dict as a tree.

Reading and writing allow plain files with safe names only, because people check out and push what an agent wrote:
no dot files, no links, no names that two file systems read differently.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import pygit2
from pygit2.enums import FileMode, ObjectType

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history.store.missing_objects import missing_hint
from autoqec.history.store.refs import explain_write
from autoqec.history.store.repository import Ledger
from autoqec.size_limits import BLOB_BYTES, COMMIT_BYTES, FILES, TREE_BYTES, in_words

CANDIDATE_BYTES = 4 * 2**20
STORE_BYTES = 50 * 2**20  # environments and weights; common hosts warn at 50 MB and refuse 100

_MAX_DEPTH = 10
_TRIES = 20
_SEGMENT = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,63}")
_SEGMENT_ANY_CASE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def check_files(files: Mapping[str, bytes], *, any_case: bool = False, limit: int = CANDIDATE_BYTES) -> None:
    """Check that files are allowed in a tree.

    Args:
        files: Contents by relative posix path.
        any_case: Allow capitals in names, for files that people named.
        limit: Maximum total size in bytes.

    Raises:
        UsageError: A path is not made of plain lower-case names, two paths collide, or the files are too large.
    """
    seen: dict[str, str] = {}
    for path in files:
        _check_path(path, any_case)
        other = seen.setdefault(path.casefold(), path)
        if other != path:
            raise UsageError(f"{path} and {other} are the same file on some file systems")
    for path in files:
        for end in (i for i, char in enumerate(path) if char == "/"):
            if path[:end].casefold() in seen:
                raise UsageError(f"{path[:end]} cannot be both a file and the folder of {path}")
    size = sum(len(data) for data in files.values())
    if size > limit:
        raise UsageError(f"the files take {size:,} bytes; {limit:,} are allowed")


def read_files(
    ledger: Ledger, commit: str, subdir: str = "", *, any_case: bool = False, limit: int = CANDIDATE_BYTES
) -> dict[str, bytes]:
    """Read the files in one folder of a commit or tree, by path relative to that folder.

    Returns:
        The files, sorted by path; empty if there is no such folder.

    Raises:
        AutoQECError: The folder holds a link, submodule, executable or file with an unsafe name, the files are too
            large, or an object is missing from the repository.
    """
    try:
        files = dict(_walk(ledger, commit, subdir, any_case, limit))
        check_files(files, any_case=any_case, limit=limit)
    except UsageError as error:
        raise AutoQECError(f"{commit[:10]}:{subdir}: {error.problem}") from error
    return files


def list_files(ledger: Ledger, commit: str) -> dict[str, str]:
    """Return the blob oid of every file of a commit or tree, by path.

    Raises:
        AutoQECError: As for `read_files`.
    """
    return {path: str(entry.id) for path, entry in _entries(ledger, _tree(ledger, commit), commit[:10])}


def graft(ledger: Ledger, base: str, subdir: str, files: Mapping[str, bytes], *, name: str = "a tree") -> str:
    """Write a tree equal to that of a commit (or tree), with one folder replaced.

    Args:
        base: Oid of a commit or tree.
        subdir: The folder to replace, such as `.autoqec/candidate`; without files it is removed.
        files: The folder's new contents by path relative to it.
        name: The name of the result in errors; usually a ref.

    Returns:
        The new tree's oid.

    Raises:
        UsageError: A path or size is not allowed.
        AutoQECError: The base is missing, or the repository is not writable.
    """
    check_files(files)
    with explain_write(name):
        folder = build_tree(ledger, write_blobs(ledger, files)) if files else None
        return _graft(ledger, _tree(ledger, base), subdir.split("/"), folder)


def persist(write: Callable[[], pygit2.Oid]) -> str:
    """Store one object by calling `write`, and return its oid. Callers hold `explain_write`, which names the ref.

    `git gc` removes empty folders of the object store, sometimes one that libgit2 has just made for a new object. The
    next try makes the folder again.
    """
    for _ in range(_TRIES):
        try:
            return str(write())
        except (OSError, pygit2.GitError) as error:
            reason = str(error).lower()
            if "not found" in reason or reason == "no error":
                # When the disk fills up in the middle of a large object, libgit2 repeats its previous message.
                raise OSError("git gave no reason; most often the disk is full") from error
            if "no such file" not in reason:
                raise
        time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - jitter
    return str(write())


def write_blobs(ledger: Ledger, files: Mapping[str, bytes]) -> dict[str, str]:
    """Store contents and return the blob oid by path. Callers hold `explain_write`."""
    return {path: persist(partial(ledger.repo.create_blob, data)) for path, data in files.items()}


def build_tree(ledger: Ledger, blobs: Mapping[str, str]) -> str:
    """Store a tree of plain files from blob oids by path, and return its oid. Callers hold `explain_write`."""
    folders: dict[str, dict[str, str]] = {}
    builder = ledger.repo.TreeBuilder()
    for path, oid in blobs.items():
        name, _, rest = path.partition("/")
        if rest:
            folders.setdefault(name, {})[rest] = oid
        else:
            builder.insert(name, oid, FileMode.BLOB)
    for name, inside in folders.items():
        builder.insert(name, build_tree(ledger, inside), FileMode.TREE)
    return persist(builder.write)


def write_commit(ledger: Ledger, message: str, tree: str, parents: list[str]) -> str:
    """Store a commit without a ref, and return its oid. Callers hold `explain_write`."""
    signature = ledger.signature()
    return persist(lambda: ledger.repo.create_commit(None, signature, signature, message, tree, list(parents)))


class TooLargeError(AutoQECError):
    """Something in the repository is larger than anything that autoqec writes, so it is not read."""

    code = "over_limit"


class Budget:
    """How many entries of a tree are visited. Few objects can make a tree of any number of folders: each may be used often."""

    def __init__(self, most: int, where: str, what: str):
        self._most, self._where, self._what = most, where, what
        self._left = most

    def spend(self) -> None:
        """Count one entry.

        Raises:
            TooLargeError: It is one too many.
        """
        self._left -= 1
        if self._left < 0:
            raise TooLargeError(
                f"{self._where} has more than {self._most:,} {self._what}, and was not read to its end",
                hint="docs/records.md, Limits, says what to do",
                about={"limit": self._most},
            )


def size_of(ledger: Ledger, oid: str | pygit2.Oid) -> int:
    """Return the size of an object, without decompressing it; 0 if it is missing."""
    try:
        return int(ledger.repo.odb.read_header(pygit2.Oid(hex=oid) if isinstance(oid, str) else oid)[1])
    except (KeyError, ValueError, pygit2.GitError):
        return 0  # whoever reads it says so


def require_size(ledger: Ledger, oid: str | pygit2.Oid, limit: int, name: str) -> None:
    """Check an object's size before it is read.

    Raises:
        TooLargeError: It is over the limit.
    """
    if (size := size_of(ledger, oid)) > limit:
        raise TooLargeError(
            f"{name} takes {in_words(size)}, over the limit of {in_words(limit)}, and was not read",
            hint="docs/records.md, Limits, says what to do",
            about={"bytes": size, "limit": limit},
        )


def inside(ledger: Ledger, tree: pygit2.Tree, name: str) -> pygit2.Tree:
    """Return a folder whose names may be read: one of a size that autoqec reads.

    Raises:
        TooLargeError: It is over the limit.
    """
    require_size(ledger, tree.id, TREE_BYTES, name)
    return tree


def _look_up(ledger: Ledger, oid: str) -> pygit2.Object | None:
    """Return an object, or None. While git packs an object, libgit2 can miss it: no longer loose, the pack not yet seen."""
    found = ledger.repo.get(oid)
    if found is None:
        ledger.repo.free()  # drop the cached list of packs
        found = ledger.repo.get(oid)
    return found


def get_commit(ledger: Ledger, oid: str) -> pygit2.Commit:
    """Return the commit with an oid.

    Raises:
        NotFoundError: This repository has no such commit.
        TooLargeError: The commit or its top folder is over the limit.
    """
    require_size(ledger, oid, COMMIT_BYTES, f"the commit {oid[:10]}")
    try:
        found = _look_up(ledger, oid)
    except (ValueError, pygit2.GitError) as error:
        raise NotFoundError(f"{oid!r} is not a commit: {error}") from error
    if not isinstance(found, pygit2.Commit):
        raise NotFoundError(f"{oid} is not a commit in this repository", hint="git fetch, or autoqec pull")
    require_size(ledger, found.tree_id, TREE_BYTES, f"the top folder of commit {oid[:10]}")
    return found


def is_commit(ledger: Ledger, oid: str) -> bool:
    """Tell whether the repository has a commit with this oid, without decompressing it."""
    try:
        return int(ledger.repo.odb.read_header(pygit2.Oid(hex=oid))[0]) == int(ObjectType.COMMIT)
    except (KeyError, ValueError, pygit2.GitError):
        return False


def has_objects(ledger: Ledger, oids: Iterable[str]) -> bool:
    """Tell whether the repository has all these objects. It reads none of them, which costs a microsecond each."""
    store = ledger.repo.odb
    return all(store.exists(pygit2.Oid(hex=oid)) for oid in oids)


def get_blob(ledger: Ledger, oid: str, *, name: str, limit: int = BLOB_BYTES) -> bytes:
    """Return the bytes of a blob; errors call it `name`.

    Raises:
        TooLargeError: The blob is over the limit.
        AutoQECError: The blob is missing or damaged.
    """
    require_size(ledger, oid, limit, name)
    try:
        found = _look_up(ledger, oid)
    except (ValueError, pygit2.GitError) as error:
        hint = missing_hint(ledger.repo)
        raise AutoQECError(f"{name} names {oid[:10]}, which is not readable: {error}", hint=hint) from error
    if not isinstance(found, pygit2.Blob):
        hint = missing_hint(ledger.repo)
        raise AutoQECError(f"{name} names {oid[:10]}, which is not a blob in this repository", hint=hint)
    return bytes(memoryview(found))  # `found.data` reads the object a second time


def entry_at(ledger: Ledger, tree: pygit2.Tree, path: str) -> pygit2.Object | None:
    """Return the entry of a tree at a path with slashes, checking the size of each folder on the way; None if absent.

    Raises:
        TooLargeError: A folder on the way is over the limit.
    """
    *folders, last = path.split("/")
    for name in folders:
        entry = entry_of(tree, name)
        if not isinstance(entry, pygit2.Tree):
            return None
        tree = inside(ledger, entry, f"the folder {name}")
    return entry_of(tree, last)


def entry_of(tree: pygit2.Tree | None, name: str) -> pygit2.Object | None:
    """Return a tree's entry with a name; None if the entry or the tree is absent."""
    try:
        return None if tree is None else tree[name]
    except (KeyError, TypeError):  # absent, or half a surrogate pair, which no path can hold
        return None


def _tree(ledger: Ledger, oid: str) -> pygit2.Tree:
    name = f"the tree of {oid[:10]}"
    require_size(ledger, oid, TREE_BYTES, name)
    try:
        found = ledger.repo[oid]
        if isinstance(found, pygit2.Commit):
            require_size(ledger, found.tree_id, TREE_BYTES, name)
        return found.peel(pygit2.Tree)
    except (KeyError, ValueError, pygit2.GitError) as error:
        hint = missing_hint(ledger.repo)
        raise AutoQECError(
            f"the tree of {oid[:10]} is missing from this repository", hint=hint, code="missing_object"
        ) from error


def _graft(ledger: Ledger, tree: pygit2.Tree | None, path: list[str], folder: str | None) -> str:
    builder = ledger.repo.TreeBuilder() if tree is None else ledger.repo.TreeBuilder(tree)
    name, *rest = path
    if rest:
        inner = entry_of(tree, name)
        if folder is not None or isinstance(inner, pygit2.Tree):
            folder = _graft(ledger, inner if isinstance(inner, pygit2.Tree) else None, rest, folder)
    if folder is not None and len(ledger.repo[folder].peel(pygit2.Tree)) > 0:
        builder.insert(name, folder, FileMode.TREE)
    elif tree is not None and name in tree:
        builder.remove(name)
    return persist(builder.write)


def _walk(ledger: Ledger, commit: str, subdir: str, any_case: bool, limit: int) -> Iterator[tuple[str, bytes]]:
    tree = _tree(ledger, commit)
    for name in subdir.split("/") if subdir else ():
        inner = entry_of(tree, name)
        if not isinstance(inner, pygit2.Tree):
            return
        tree = inside(ledger, inner, f"{commit[:10]}:{name}")
    size = 0
    for path, entry in _entries(ledger, tree, f"{commit[:10]}:{subdir}"):
        _check_path(path, any_case)
        try:
            size += ledger.repo.odb.read_header(entry.id)[1]
        except KeyError as error:
            raise AutoQECError(
                f"{path} is missing from this repository", hint="git fetch --refetch --no-filter"
            ) from error
        if size > limit:  # checked before reading, because a pushed branch can hold anything
            raise UsageError(f"the files take more than the {limit:,} bytes allowed")
        yield path, get_blob(ledger, str(entry.id), name=path)


def _entries(ledger: Ledger, tree: pygit2.Tree, where: str) -> Iterator[tuple[str, pygit2.Object]]:
    return _walk_entries(ledger, tree, where, Budget(FILES, where, "files and folders"))


def _walk_entries(
    ledger: Ledger, tree: pygit2.Tree, where: str, budget: Budget, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, pygit2.Object]]:
    if depth > _MAX_DEPTH:
        raise AutoQECError(f"{where} has folders more than {_MAX_DEPTH} deep")
    for entry in inside(ledger, tree, f"{where}/{prefix}"):
        budget.spend()
        path = f"{prefix}{entry.name}"
        if entry.filemode == FileMode.TREE and isinstance(entry, pygit2.Tree):
            yield from _walk_entries(ledger, entry, where, budget, f"{path}/", depth + 1)
        elif entry.filemode == FileMode.BLOB:
            yield path, entry
        else:
            kind = {FileMode.LINK: "a symbolic link", FileMode.COMMIT: "a submodule"}.get(
                FileMode(entry.filemode), "an executable"
            )
            raise AutoQECError(f"{where}/{path} is {kind}; only plain files are allowed")


def _check_path(path: str, any_case: bool) -> None:
    pattern = _SEGMENT_ANY_CASE if any_case else _SEGMENT
    segments = path.split("/")
    if len(segments) > _MAX_DEPTH or not all(pattern.fullmatch(segment) for segment in segments):
        letters = "letters" if any_case else "lower-case letters"
        raise UsageError(
            f"{path!r} is not an allowed path: names are {letters}, digits, _ . - (up to 64, not starting with . or -)"
        )
