"""Notes: results about a round's commit, as JSON lines at `refs/notes/autoqec/<run>/<kind>`, append only.

A set of lines that only grows merges by union between any two machines. A later record corrects an earlier one by naming
its id in `supersedes`. Git's own note writers force the ref and lose each other's updates, so this module writes the trees
itself and moves the ref by compare-and-swap. `git log` and `git notes show` read these notes like any others.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
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


class RecordConflictError(AutoQECError):
    """A record that is about to be written finds another one under its id. Nothing is written."""

    code = "record_conflict"


@dataclass(frozen=True)
class NoteLine:
    """A record as it stands in a note.

    Attributes:
        data: Its stored bytes, without the line feed.
        record: Its contents.
    """

    data: bytes
    record: Record

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the stored bytes, in hex: other records name the line by it."""
        return hashlib.sha256(self.data).hexdigest()


def complete_note(ledger: Ledger, kind: str, record: Record) -> Record:
    """Return a record with all fields that a note has: `id`, `ts` and `writer` where absent, and `v` and `kind`.

    `append_line` stores exactly this, so a signature over it covers these fields too.
    """
    full = {"ts": utc_now(), "writer": ledger.writer, **record, "v": _VERSION, "kind": kind}
    return full if "id" in full else {"id": uuid.uuid4().hex, **full}


def append_note(ledger: Ledger, run: str, kind: str, commit: str, record: Record) -> Record:
    """Append a record to a commit's notes, as `append_line` does, and return it."""
    return append_line(ledger, run, kind, commit, record).record


def append_line(ledger: Ledger, run: str, kind: str, commit: str, record: Record) -> NoteLine:
    """Append a record to a commit's notes, unless it is there already.

    Args:
        ledger: The lab.
        run: The run.
        kind: `metrics`, `verdict` or `analysis`.
        commit: Oid of the commit that the record is about.
        record: Plain data. `id`, `ts` and `writer` are added where absent, `v` and `kind` always.

    Returns:
        The record as it stands in the note. It is never one that somebody else wrote in its place.

    Raises:
        UsageError: There is no such kind.
        NotFoundError: There is no such commit.
        RecordConflictError: Another record stands there under its id.
        AutoQECError: The record is not plain data, or the ref is not writable.
    """
    ref = _ref(run, kind)
    get_commit(ledger, commit)
    full = complete_note(ledger, kind, record)
    name = f"{ref} on {commit[:10]}"
    if not isinstance(full["id"], str) or not isinstance(full["ts"], str):
        raise AutoQECError(f"the id and ts of a record for {name} must be text")
    line = encode_record(full, name=name)
    ours = NoteLine(line, decode_record(line, name=name))
    for _ in range(_RACES):
        with write_lock(ledger), explain_write(ref):
            old = target(ledger, ref)
            root = None if old is None else get_commit(ledger, old).tree
            lines = lines_of(ledger, root, commit, name)
            for known in _records(lines, name, problems=[]):
                if known.record["id"] == full["id"]:
                    return _same(known, record, ours, name)
            tree = _put(ledger, root, commit, b"".join(part + b"\n" for part in [*lines, line]))
            new = write_commit(ledger, f"{kind} of {commit[:10]}\n", tree, [] if old is None else [old])
            if compare_and_swap(ledger, ref, old, new, f"autoqec: {kind} of {commit[:10]}"):
                return ours
    raise AutoQECError(f"another tool keeps moving {ref}", hint="autoqec fsck")


def _same(known: NoteLine, asked: Record, ours: NoteLine, name: str) -> NoteLine:
    """Return the line that stands under the id of ours, if it says the same but for stamps that the caller did not choose.

    Raises:
        RecordConflictError: It says something else.
    """
    stamps = {"ts", "writer"} - asked.keys()
    said, says = ({key: value for key, value in line.record.items() if key not in stamps} for line in (known, ours))
    if said == says:
        return known
    raise RecordConflictError(
        f"{name} already holds another record under the id {ours.record['id']}, by {str(known.record.get('writer'))[:80]}",
        hint="autoqec fsck",
        about={"id": ours.record["id"]},
    )


def read_notes(
    ledger: Ledger,
    run: str,
    kind: str,
    *,
    strict: bool = True,
    problems: list[str] | None = None,
    commits: Iterable[str] | None = None,
) -> dict[str, list[Record]]:
    """Return all records of a run and kind by commit, each list in the order written.

    Args:
        ledger: The lab.
        run, kind: The run and the kind of notes.
        strict: Raise an error for a malformed line; otherwise skip it.
        problems: A list to which a sentence is added for each skipped line.
        commits: Read only notes on these commits, without walking the whole tree; by default all.

    Raises:
        UsageError: There is no such kind.
        AutoQECError: A line is malformed and `strict` is true; the error names the ref and the commit.
    """
    ref = _ref(run, kind)
    skipped = None if strict else ([] if problems is None else problems)
    return notes_at(ledger, ref, target(ledger, ref), skipped, commits)


def read_lines(
    ledger: Ledger, run: str, kind: str, problems: list[str] | None = None, *, whole: bool = False
) -> dict[str, list[NoteLine]]:
    """Return all lines of a run and kind by commit, as `read_notes` does; malformed ones are skipped.

    Args:
        ledger, run, kind: As for `read_notes`.
        problems: A list to which a sentence is added for each skipped line.
        whole: Raise an error for a note that cannot be read at all, such as one whose object is missing.
    """
    ref = _ref(run, kind)
    return lines_at(ledger, ref, target(ledger, ref), [] if problems is None else problems, whole=whole)


def notes_at(
    ledger: Ledger, ref: str, tip: str | None, problems: list[str] | None, commits: Iterable[str] | None = None
) -> dict[str, list[Record]]:
    """Return the records in one commit of a notes ref, as `read_notes` does; arguments and errors are those of `lines_at`."""
    found = lines_at(ledger, ref, tip, problems, commits)
    return {commit: [line.record for line in lines] for commit, lines in found.items()}


def lines_at(
    ledger: Ledger,
    ref: str,
    tip: str | None,
    problems: list[str] | None,
    commits: Iterable[str] | None = None,
    *,
    whole: bool = False,
) -> dict[str, list[NoteLine]]:
    """Return the lines in one commit of a notes ref, by the commit that they are about.

    Args:
        ledger: The lab.
        ref: The ref, for messages.
        tip: Oid of the notes commit; None for no notes.
        problems: A list to which a sentence is added for each skipped line; None to raise an error instead.
        commits: Read only notes on these commits, without walking the whole tree; by default all.
        whole: Raise an error for a note that cannot be read at all, whatever `problems` is.

    Raises:
        AutoQECError: The notes commit is missing, or a line is malformed and `problems` is None.
    """
    if tip is None:
        return {}
    root = get_commit(ledger, tip).tree
    lines: dict[str, list[bytes]] = {}
    unread = None if whole else problems
    if commits is None:
        for commit, blob in walk_notes(root):
            # The tree may hold a commit's note at two paths; the commit has the records of both.
            data = _skip(partial(get_blob, ledger, blob, name=f"{ref} on {commit[:10]}"), unread)
            if data is not None:
                lines[commit] = union_lines(lines.get(commit, []), data)
    for commit in commits or ():
        found = _skip(partial(lines_of, ledger, root, commit, f"{ref} on {commit[:10]}"), unread)
        if found:
            lines[commit] = found
    return {commit: [*_records(parts, f"{ref} on {commit[:10]}", problems)] for commit, parts in lines.items()}


def _skip(read: Callable[[], _T], problems: list[str] | None) -> _T | None:
    try:
        return read()
    except AutoQECError as error:
        if problems is None:
            raise
        problems.append(error.problem)
        return None


def merge_note_trees(ledger: Ledger, one: str, other: str) -> str:
    """Write the union of two notes trees: for each round, the lines of both, oldest first. Callers hold `explain_write`.

    Args:
        ledger: The lab.
        one, other: Oids of the notes commits; their order does not matter.

    Returns:
        The tree's oid.
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
    """Return the record that counts: the latest (by `ts`, then `id`) that no other supersedes; None if there is none.

    A record with a field `event` marks an event, such as the start of a verification; it never counts.
    """
    records = [record for record in records if "event" not in record]
    if len(records) == 1:  # nearly always; a record cannot supersede itself
        return records[0]
    replaced = {record.get("supersedes") for record in records if record.get("supersedes") != record["id"]}
    standing = [record for record in records if record["id"] not in replaced]
    return max(standing, key=lambda record: (str(record.get("ts", "")), record["id"]), default=None)


def add_lines(ledger: Ledger, ref: str, lines: Mapping[str, Iterable[bytes]], message: str) -> bool:
    """Add lines to the notes of commits, and store each of these notes at a single path.

    Args:
        ledger: The lab.
        ref: The notes ref.
        lines: Lines to add, by commit; empty to correct only the path.
        message: Message for the notes' own history.

    Returns:
        Whether anything changed.

    Raises:
        AutoQECError: The ref is not writable.
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
        raise UsageError(f"{kind!r} is not a kind of note; the kinds are {', '.join(NOTE_KINDS)}")
    return f"{NOTES}{run}/{kind}"


def _records(lines: Iterable[bytes], name: str, problems: list[str] | None) -> Iterator[NoteLine]:
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
            yield NoteLine(line, record)


def _written(line: bytes) -> tuple[str, bytes]:
    """Return a sort key: a line's time stamp (empty if unreadable), then the line. It is the same in every clone."""
    try:
        return str(decode_record(line, name="a note").get("ts", "")), line
    except AutoQECError:
        return "", line


def union_lines(lines: list[bytes], data: bytes) -> list[bytes]:
    """Return the union of lines and those in a note's data, in the order first seen."""
    return list(dict.fromkeys([*lines, *(part for part in data.split(b"\n") if part.strip())]))


def walk_notes(tree: pygit2.Tree, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every note's commit and blob oid at any fan-out; git chooses the depth by the number of notes."""
    for entry in tree:
        part = entry.name or ""
        name = prefix + part
        if _HEX.fullmatch(part) is None or len(name) > _OID_LENGTH:
            continue  # not a note; git ignores such entries too
        if isinstance(entry, pygit2.Tree):
            yield from walk_notes(entry, name)
        elif isinstance(entry, pygit2.Blob) and len(name) == _OID_LENGTH:
            yield name, str(entry.id)


def note_commit(path: str) -> str | None:
    """Return the commit that a note at a path of the tree is about; None if no note can be there."""
    commit = path.replace("/", "")
    return commit if len(commit) == _OID_LENGTH and _HEX.fullmatch(commit) else None


def lines_of(ledger: Ledger, tree: pygit2.Tree | None, commit: str, name: str) -> list[bytes]:
    """Return a commit's lines from all paths that its note can have, without walking the whole tree."""
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
    """Write the notes tree with a commit's note set to `data`, at the path with one level of fan-out only."""
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
    """Re-insert the folder `rest[:2]` into `above` without the note at `rest`."""
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
