"""Notes: what was found out about a round's commit, as JSON lines at `refs/notes/autoqec/<run>/<kind>`, append only.

A set of lines that only grows can be merged from any two machines by union. A record is corrected by a later one that
names its id in `supersedes`. Git's own note writers force the ref and lose each other's updates, so these notes are
written as trees and moved by compare-and-swap; `git log` and `git notes show` read them like any others.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import pygit2
from pygit2.enums import FileMode

from autoqec.errors import AutoQECError, UsageError
from autoqec.history.store.json_records import decode_record, encode_record, refuse_newer, utc_now
from autoqec.history.store.objects import build_tree, entry_of, get_blob, get_commit, persist, write_blobs, write_commit
from autoqec.history.store.refs import compare_and_swap, explain_write, target, write_lock
from autoqec.history.store.repository import Ledger

NOTE_KINDS = ("metrics", "verdict", "analysis")
NOTES = "refs/notes/autoqec/"

Record = dict[str, Any]
_T = TypeVar("_T")

_VERSION = 1
_RACES = 50
_HEX = re.compile("[0-9a-f]+")
_OID_LENGTH = 40


def append_note(ledger: Ledger, run: str, kind: str, commit: str, record: Record) -> Record:
    """Add a record to a commit's notes. A record whose id is there already is not added again.

    Args:
        ledger: The lab.
        run: The run whose notes these are.
        kind: `metrics`, `verdict` or `analysis`.
        commit: Oid of the commit it is about.
        record: Plain data. `id`, `ts` and `writer` are added where absent, `v` and `kind` always.

    Returns:
        The record as it is stored.

    Raises:
        UsageError: No such kind.
        NotFoundError: No such commit.
        AutoQECError: The record is not plain data, or cannot be written.
    """
    ref = _ref(run, kind)
    get_commit(ledger, commit)
    full = {"id": uuid.uuid4().hex, "ts": utc_now(), "writer": ledger.writer, **record, "v": _VERSION, "kind": kind}
    name = f"{ref} on {commit[:10]}"
    if not isinstance(full["id"], str) or not isinstance(full["ts"], str):
        raise AutoQECError(f"the id and ts of a record for {name} must be text")
    line = encode_record(full, name=name)
    for _ in range(_RACES):
        with write_lock(ledger), explain_write(ref):
            old = target(ledger, ref)
            root = None if old is None else get_commit(ledger, old).tree
            lines = lines_of(ledger, root, commit, name)
            for known, stored in _records(lines, name, problems=[]):
                if known == full["id"]:
                    return stored
            tree = _put(ledger, root, commit, b"".join(part + b"\n" for part in [*lines, line]))
            new = write_commit(ledger, f"{kind} of {commit[:10]}\n", tree, [] if old is None else [old])
            if compare_and_swap(ledger, ref, old, new, f"autoqec: {kind} of {commit[:10]}"):
                return decode_record(line, name=name)
    raise AutoQECError(f"another tool keeps moving {ref}", hint="autoqec fsck")


def read_notes(
    ledger: Ledger,
    run: str,
    kind: str,
    *,
    strict: bool = True,
    problems: list[str] | None = None,
    commits: Iterable[str] | None = None,
) -> dict[str, list[Record]]:
    """All records of a run and kind, by the commit they are about, each list in the order written.

    Args:
        ledger: The lab.
        run, kind: Which notes.
        strict: Refuse what is malformed; otherwise skip it.
        problems: Where to add a sentence on each thing skipped.
        commits: Only notes on these, found without walking all; by default all.

    Raises:
        UsageError: No such kind.
        AutoQECError: A line is malformed, and `strict`; names the ref and the commit.
    """
    ref = _ref(run, kind)
    skipped = None if strict else ([] if problems is None else problems)
    return notes_at(ledger, ref, target(ledger, ref), skipped, commits)


def notes_at(
    ledger: Ledger, ref: str, tip: str | None, problems: list[str] | None, commits: Iterable[str] | None = None
) -> dict[str, list[Record]]:
    """The records that a notes ref has at one of its commits, as `read_notes` gives them.

    Args:
        ledger: The lab.
        ref: The ref, for messages.
        tip: Oid of the notes commit; None for no notes.
        problems: Where to add a sentence on each thing skipped; None to refuse what is malformed.
        commits: Only notes on these, found without walking the whole tree; by default all.

    Raises:
        AutoQECError: The notes commit is missing, or something is malformed and `problems` is None.
    """
    if tip is None:
        return {}
    root = get_commit(ledger, tip).tree
    lines: dict[str, list[bytes]] = {}
    if commits is None:
        for commit, blob in walk_notes(root):
            # One commit may stand in the tree under two spellings; its records are those of both.
            data = _skip(partial(get_blob, ledger, blob, name=f"{ref} on {commit[:10]}"), problems)
            if data is not None:
                lines[commit] = union_lines(lines.get(commit, []), data)
    for commit in commits or ():
        found = _skip(partial(lines_of, ledger, root, commit, f"{ref} on {commit[:10]}"), problems)
        if found:
            lines[commit] = found
    return {
        commit: [record for _, record in _records(parts, f"{ref} on {commit[:10]}", problems)]
        for commit, parts in lines.items()
    }


def _skip(read: Callable[[], _T], problems: list[str] | None) -> _T | None:
    try:
        return read()
    except AutoQECError as error:
        if problems is None:
            raise
        problems.append(error.problem)
        return None


def merge_note_trees(ledger: Ledger, one: str, other: str) -> str:
    """A notes tree with the records of two notes commits: of each round, the set of both's lines, oldest first.

    Args:
        ledger: The lab.
        one, other: Oids of the notes commits; which is which makes no difference.

    Returns:
        The tree's oid. Callers hold `explain_write`.
    """
    found: dict[str, set[str]] = {}
    for oid in (one, other):
        for commit, blob in walk_notes(get_commit(ledger, oid).tree):
            found.setdefault(commit, set()).add(blob)
    blobs: dict[str, str] = {}
    for commit, versions in found.items():
        lines: list[bytes] = []
        for version in versions if len(versions) > 1 else ():
            lines = union_lines(lines, get_blob(ledger, version, name=f"the note on {commit[:10]}"))
        data = b"".join(line + b"\n" for line in sorted(lines, key=_written))
        blobs[f"{commit[:2]}/{commit[2:]}"] = write_blobs(ledger, {"": data})[""] if lines else versions.pop()
    return build_tree(ledger, blobs)


def effective(records: Iterable[Record]) -> Record | None:
    """The record that counts: the latest (by `ts`, then `id`) that no other supersedes; None if there is none.

    A record with a field `event` tells that something happened, such as a verification that was begun; it never counts.
    """
    records = [record for record in records if "event" not in record]
    if len(records) == 1:  # nearly always; nothing replaces itself
        return records[0]
    replaced = {record.get("supersedes") for record in records if record.get("supersedes") != record["id"]}
    standing = [record for record in records if record["id"] not in replaced]
    return max(standing, key=lambda record: (str(record.get("ts", "")), record["id"]), default=None)


def add_lines(ledger: Ledger, ref: str, lines: Mapping[str, Iterable[bytes]], message: str) -> bool:
    """Union lines into the notes of commits, and leave each of these notes under one name only.

    Args:
        ledger: The lab.
        ref: The notes ref.
        lines: Lines to add, by the commit they are about; none where only the name is to be put right.
        message: Why, for the notes' own history.

    Returns:
        Whether anything changed.

    Raises:
        AutoQECError: It cannot be written.
    """
    for _ in range(_RACES):
        with write_lock(ledger), explain_write(ref):
            old = target(ledger, ref)
            root = before = None if old is None else get_commit(ledger, old).tree
            for commit, extra in lines.items():
                whole = [*lines_of(ledger, root, commit, ref), *extra]
                data = b"".join(part + b"\n" for part in dict.fromkeys(whole))
                root = ledger.repo[_put(ledger, root, commit, data)].peel(pygit2.Tree)
            if root is None or (before is not None and root.id == before.id):
                return False
            new = write_commit(ledger, f"{message}\n", str(root.id), [] if old is None else [old])
            if compare_and_swap(ledger, ref, old, new, f"autoqec: {message}"):
                return True
    raise AutoQECError(f"another tool keeps moving {ref}", hint="autoqec fsck")


def _ref(run: str, kind: str) -> str:
    if kind not in NOTE_KINDS:
        raise UsageError(f"{kind!r} is not a kind of note; there are {', '.join(NOTE_KINDS)}")
    return f"{NOTES}{run}/{kind}"


def _records(lines: Iterable[bytes], name: str, problems: list[str] | None) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(lines, 1):
        try:
            record = decode_record(line, name=f"line {number} of {name}")
            if not isinstance(record.get("id"), str):
                raise AutoQECError(f"line {number} of {name} has no id")
            if record.get("v", 1) != _VERSION:
                refuse_newer(record["v"], _VERSION, name=f"line {number} of {name}")
        except AutoQECError as error:
            if problems is None:
                raise AutoQECError(error.problem, hint=error.hint or "autoqec fsck") from error
            problems.append(error.problem)
        else:
            yield record["id"], record


def _written(line: bytes) -> tuple[str, bytes]:
    """When a line was written, as far as it says, and the line: an order that is the same wherever lines are joined."""
    try:
        return str(decode_record(line, name="a note").get("ts", "")), line
    except AutoQECError:
        return "", line


def union_lines(lines: list[bytes], data: bytes) -> list[bytes]:
    """Lines and those of a note's data, each once, in the order first seen."""
    return list(dict.fromkeys([*lines, *(part for part in data.split(b"\n") if part.strip())]))


def walk_notes(tree: pygit2.Tree, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every note's commit and its blob's oid, however deep the tree fans out; git chooses the depth by the number of notes."""
    for entry in tree:
        part = entry.name or ""
        name = prefix + part
        if _HEX.fullmatch(part) is None or len(name) > _OID_LENGTH:
            continue  # not a note; git leaves such entries alone too
        if isinstance(entry, pygit2.Tree):
            yield from walk_notes(entry, name)
        elif isinstance(entry, pygit2.Blob) and len(name) == _OID_LENGTH:
            yield name, str(entry.id)


def lines_of(ledger: Ledger, tree: pygit2.Tree | None, commit: str, name: str) -> list[bytes]:
    """A commit's lines under all spellings of its name, found without walking the whole tree."""
    lines: list[bytes] = []
    prefix, rest = "", commit
    while tree is not None and rest:
        entry = entry_of(tree, rest)
        if isinstance(entry, pygit2.Blob):
            lines = union_lines(lines, get_blob(ledger, str(entry.id), name=name))
        prefix, rest = rest[:2], rest[2:]
        inner = entry_of(tree, prefix)
        tree = inner if isinstance(inner, pygit2.Tree) else None
    return lines


def _put(ledger: Ledger, root: pygit2.Tree | None, commit: str, data: bytes) -> str:
    """The notes tree with a commit's note as given, under the name that is fanned out once and under no other."""
    repo = ledger.repo
    blob = persist(lambda: repo.create_blob(data))
    top = repo.TreeBuilder() if root is None else repo.TreeBuilder(root)
    if top.get(commit) is not None:
        top.remove(commit)
    fan = entry_of(root, commit[:2])
    inside = repo.TreeBuilder(fan) if isinstance(fan, pygit2.Tree) else repo.TreeBuilder()
    deeper = entry_of(fan, commit[2:4]) if isinstance(fan, pygit2.Tree) else None
    if isinstance(deeper, pygit2.Tree):
        _put_without(repo, inside, deeper, commit[2:])
    inside.insert(commit[2:], blob, FileMode.BLOB)
    top.insert(commit[:2], persist(inside.write), FileMode.TREE)
    return persist(top.write)


def _put_without(repo: pygit2.Repository, above: pygit2.TreeBuilder, tree: pygit2.Tree, rest: str) -> None:
    """Re-insert the folder `rest[:2]` into `above` without the note that `rest` leads to."""
    builder = repo.TreeBuilder(tree)
    if rest[2:] in tree:
        builder.remove(rest[2:])
    inner = entry_of(tree, rest[2:4])
    if isinstance(inner, pygit2.Tree):
        _put_without(repo, builder, inner, rest[2:])
    if len(builder):
        above.insert(rest[:2], persist(builder.write), FileMode.TREE)
    else:
        above.remove(rest[:2])
