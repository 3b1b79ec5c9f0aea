"""The trees that hold notes: walking them, reading the lines on a commit, and writing a note at its path.

Git chooses at how many folders deep a note lies, and may leave a commit's note at two paths. Whoever can write a ref can make
such a tree of any size, so every folder, note and number of entries has a limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import pygit2
from pygit2.enums import FileMode

from autoqec.history.store.objects import Budget, TooLargeError, entry_of, get_blob, inside, persist, size_of
from autoqec.history.store.repository import Ledger
from autoqec.size_limits import (
    NOTE_BYTES,
    NOTE_LINES,
    NOTE_VALUES,
    RUN_LINES,
    RUN_NOTES,
    RUN_NOTES_BYTES,
    RUN_VALUES,
    in_words,
)

_T = TypeVar("_T")

_PARTS = ("lines", "values")
_WHAT_TO_DO = "docs/records.md, Limits, says what to do"
_HEX = re.compile("[0-9a-f]+")
_OID_LENGTH = 40


def union_lines(lines: list[bytes], data: bytes) -> list[bytes]:
    """Return the union of lines and those in a note's data, in the order first seen."""
    return list(dict.fromkeys([*lines, *(part for part in data.split(b"\n") if part.strip())]))


def walk_notes(ledger: Ledger, tree: pygit2.Tree, problems: list[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield every note's commit and blob oid at any fan-out; git chooses the depth by the number of notes.

    Raises:
        TooLargeError: There are too many notes, or a folder is too large, and `problems` is None; otherwise it gets a
            sentence, and the rest is left out.
    """
    try:
        yield from _walk(ledger, tree, "", Budget(3 * RUN_NOTES, "the tree of notes", "entries"))
    except TooLargeError as error:
        if problems is None:
            raise
        problems.append(error.problem)


def _walk(ledger: Ledger, tree: pygit2.Tree, prefix: str, budget: Budget) -> Iterator[tuple[str, str]]:
    for entry in inside(ledger, tree, f"the folder {prefix!r} of the notes"):
        budget.spend()
        part = entry.name or ""
        name = prefix + part
        if _HEX.fullmatch(part) is None or len(name) > _OID_LENGTH:
            continue  # not a note; git ignores such entries too
        if isinstance(entry, pygit2.Tree):
            yield from _walk(ledger, entry, name, budget)
        elif isinstance(entry, pygit2.Blob) and len(name) == _OID_LENGTH:
            yield name, str(entry.id)


def changed_notes(ledger: Ledger, old: pygit2.Tree | None, new: pygit2.Tree | None) -> Iterator[str]:
    """Yield the commits whose notes may differ between two trees, from the entries that differ and no others.

    Raises:
        TooLargeError: There are too many notes, or a folder is too large.
    """
    if old is None or new is None:
        yield from sorted({commit for tree in (old, new) if tree is not None for commit, _ in walk_notes(ledger, tree)})
        return
    budget = Budget(3 * RUN_NOTES, "the tree of notes", "entries")
    waiting: list[tuple[str, pygit2.Tree | None, pygit2.Tree | None]] = [("", old, new)]
    while waiting:
        prefix, *sides = waiting.pop()
        entries = [
            {} if side is None else {str(entry.name): entry for entry in inside(ledger, side, f"the folder {prefix!r}")}
            for side in sides
        ]
        for part in sorted(entries[0].keys() | entries[1].keys()):
            one, other = (found.get(part) for found in entries)
            name = prefix + part
            if (one and one.id) == (other and other.id) or _HEX.fullmatch(part) is None or len(name) > _OID_LENGTH:
                continue
            budget.spend()
            if len(name) == _OID_LENGTH:
                yield name
            else:
                before, after = (entry if isinstance(entry, pygit2.Tree) else None for entry in (one, other))
                waiting.append((name, before, after))


def lines_of(
    ledger: Ledger, tree: pygit2.Tree | None, commit: str, name: str, problems: list[str] | None = None
) -> list[bytes]:
    """Return a commit's lines from all paths that its note can have, without walking the whole tree.

    A note or folder over the limit has no lines; `problems` gets a sentence about it.
    """
    lines: list[bytes] = []
    prefix, rest = "", commit
    while tree is not None and rest:
        entry = entry_of(tree, rest)
        if isinstance(entry, pygit2.Blob):
            data = _unless_large(partial(note_data, ledger, str(entry.id), name), problems)
            lines = lines if data is None else union_lines(lines, data)
        prefix, rest = rest[:2], rest[2:]
        inner = entry_of(tree, prefix)
        folder = partial(inside, ledger, inner, f"a folder of {name}") if isinstance(inner, pygit2.Tree) else None
        tree = None if folder is None else _unless_large(folder, problems)
    return lines


def _unless_large(read: Callable[[], _T], problems: list[str] | None) -> _T | None:
    try:
        return read()
    except TooLargeError as error:
        if problems is not None:
            problems.append(error.problem)
        return None


def put_note(ledger: Ledger, root: pygit2.Tree | None, commit: str, data: bytes) -> str:
    """Write the notes tree with a commit's note set to `data`, at the path with one level of fan-out only."""
    repo = ledger.repo
    blob = persist(lambda: repo.create_blob(data))
    top = repo.TreeBuilder() if root is None else repo.TreeBuilder(root)
    if top.get(commit) is not None:
        top.remove(commit)
    fan = entry_of(root, commit[:2])
    fan = inside(ledger, fan, f"the folder {commit[:2]} of the notes") if isinstance(fan, pygit2.Tree) else None
    folder = repo.TreeBuilder() if fan is None else repo.TreeBuilder(fan)
    deeper = entry_of(fan, commit[2:4])
    if isinstance(deeper, pygit2.Tree):
        _put_without(ledger, folder, deeper, commit[2:])
    folder.insert(commit[2:], blob, FileMode.BLOB)
    top.insert(commit[:2], persist(folder.write), FileMode.TREE)
    return persist(top.write)


def _put_without(ledger: Ledger, above: pygit2.TreeBuilder, tree: pygit2.Tree, rest: str) -> None:
    """Re-insert the folder `rest[:2]` into `above` without the note at `rest`."""
    builder = ledger.repo.TreeBuilder(inside(ledger, tree, f"the folder {rest[:2]} of the notes"))
    if rest[2:] in tree:
        builder.remove(rest[2:])
    inner = entry_of(tree, rest[2:4])
    if isinstance(inner, pygit2.Tree):
        _put_without(ledger, builder, inner, rest[2:])
    if len(builder):
        above.insert(rest[:2], persist(builder.write), FileMode.TREE)
    else:
        above.remove(rest[:2])


def note_data(ledger: Ledger, blob: str, name: str) -> bytes:
    """Return the bytes of a note.

    Raises:
        TooLargeError: It is over the limit.
    """
    data = get_blob(ledger, blob, name=f"the note {name}", limit=NOTE_BYTES)
    for count, limit, what in zip(parts_of(data), (NOTE_LINES, NOTE_VALUES), _PARTS, strict=True):
        if count > limit:
            raise TooLargeError(f"the note {name} was not read: it has over {limit:,} {what}", hint=_WHAT_TO_DO)
    return data


def parts_of(data: bytes) -> tuple[int, int]:
    """Return how many lines a note has, and a bound of the JSON values in it, without parsing it."""
    return data.count(b"\n"), data.count(b",") + data.count(b"[") + data.count(b"{")


def fewest_parts(found: Mapping[str, bytes], ref: str, problems: list[str] | None) -> dict[str, bytes]:
    """Return the notes that together have no more lines and values than a run's may, those with the most left out."""
    kept, parts = dict(found), {commit: parts_of(data) for commit, data in found.items()}
    for place, limit in enumerate((RUN_LINES, RUN_VALUES)):
        total = sum(parts[commit][place] for commit in kept)
        for commit in sorted(kept, key=lambda commit: (-parts[commit][place], commit)) if total > limit else ():
            if total <= limit:
                break
            total -= parts[commit][place]
            del kept[commit]
            problem = f"the note {ref} on {commit[:10]} was not read: all together have over {limit:,} {_PARTS[place]}"
            if problems is None:
                raise TooLargeError(problem, hint=_WHAT_TO_DO)
            problems.append(problem)
    return kept


def smallest_notes(
    ledger: Ledger, notes: Iterable[tuple[str, str]], ref: str, problems: list[str] | None
) -> list[tuple[str, str]]:
    """Return the notes that together take no more than a run's may, the largest left out."""
    found = list(notes)
    sizes = {blob: size for _, blob in found if (size := size_of(ledger, blob)) <= NOTE_BYTES}
    room = RUN_NOTES_BYTES - sum(sizes.get(blob, 0) for _, blob in found)
    for size, blob, commit in sorted(((sizes.get(b, 0), b, c) for c, b in found), reverse=True) if room < 0 else ():
        if room >= 0:
            break
        room += size
        found.remove((commit, blob))
        problem = f"the note {ref} on {commit[:10]} was not read: all together take over {in_words(RUN_NOTES_BYTES)}"
        if problems is None:
            raise TooLargeError(problem, hint=_WHAT_TO_DO)
        problems.append(problem)
    return found
