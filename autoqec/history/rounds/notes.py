"""Notes: results about a round's commit, as JSON lines at `refs/notes/autoqec/<run>/<kind>`, append only.

A set of lines that only grows merges by union between any two machines. Which line counts, `autoqec.results.trust` says.

Git's own note writers force the ref and lose each other's updates, so this module writes the trees itself and moves the ref by
compare-and-swap. `git log` and `git notes show` read these notes like any others.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import pygit2

from autoqec.errors import AutoQECError, UsageError
from autoqec.history.rounds.note_trees import (
    fewest_parts,
    lines_of,
    note_data,
    put_note,
    smallest_notes,
    union_lines,
    walk_notes,
)
from autoqec.history.store.json_records import decode_record, encode_record, refuse_newer, utc_now
from autoqec.history.store.objects import (
    TooLargeError,
    build_tree,
    get_commit,
    size_of,
    write_blobs,
    write_commit,
)
from autoqec.history.store.refs import compare_and_swap, explain_write, target, write_lock
from autoqec.history.store.repository import Ledger
from autoqec.size_limits import LINE_BYTES, NOTE_BYTES, in_words

NOTE_KINDS = ("metrics", "verdict", "analysis")
NOTES = "refs/notes/autoqec/"

Record = dict[str, Any]
_T = TypeVar("_T")

_VERSION = 1
_RACES = 50


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
            tree = put_note(ledger, root, commit, b"".join(part + b"\n" for part in [*lines, line]))
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
    told: dict[str, bytes] = {}
    unread = None if whole else problems
    if commits is None:
        for commit, blob in smallest_notes(ledger, walk_notes(ledger, root, unread), ref, unread):
            # The tree may hold a commit's note at two paths; the commit has the records of both.
            data = _skip(partial(note_data, ledger, blob, f"{ref} on {commit[:10]}"), unread)
            if data is not None:
                told[commit] = told[commit] + b"\n" + data if commit in told else data
        lines = {commit: union_lines([], data) for commit, data in fewest_parts(told, ref, unread).items()}
    for commit in commits or ():
        large: list[str] = []
        found = _skip(partial(lines_of, ledger, root, commit, f"{ref} on {commit[:10]}", large), unread)
        if large and unread is None:
            raise TooLargeError(large[0], hint="docs/records.md, Limits, says what to do")
        (unread if unread is not None else []).extend(large)
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

    Raises:
        TooLargeError: There are too many notes, or their union is too large.
    """
    found: dict[str, set[str]] = {}
    for oid in (one, other):
        for commit, blob in walk_notes(ledger, get_commit(ledger, oid).tree):
            found.setdefault(commit, set()).add(blob)
    blobs: dict[str, str] = {}
    for commit, all_versions in found.items():
        if len(all_versions) == 1:  # most notes of a long run: not even their size is looked up
            blobs[f"{commit[:2]}/{commit[2:]}"] = all_versions.pop()
            continue
        # A version over the limit is read nowhere, so it gives way to one that is.
        versions = {blob for blob in all_versions if size_of(ledger, blob) <= NOTE_BYTES} or {min(all_versions)}
        lines: list[bytes] = []
        for version in versions if len(versions) > 1 else ():
            lines = union_lines(lines, note_data(ledger, version, f"on {commit[:10]}"))
        data = b"".join(line + b"\n" for line in sorted(lines, key=_written))
        if len(data) > NOTE_BYTES:
            raise TooLargeError(
                f"the notes on {commit[:10]} of both sides together take {in_words(len(data))}, over the limit of"
                f" {in_words(NOTE_BYTES)}, and were not united",
                hint="docs/records.md, Limits, says what to do",
            )
        blobs[f"{commit[:2]}/{commit[2:]}"] = write_blobs(ledger, {"": data})[""] if lines else versions.pop()
    return build_tree(ledger, blobs)


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
                root = ledger.repo[put_note(ledger, root, commit, data)].peel(pygit2.Tree)
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
            if len(line) > LINE_BYTES:
                what = f"takes {in_words(len(line))}, over the limit of {in_words(LINE_BYTES)}"
                raise TooLargeError(f"line {number} of {name} {what}, and was not read")
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
        return str(decode_record(line, name="a note").get("ts", "")) if len(line) <= LINE_BYTES else "", line
    except AutoQECError:
        return "", line
