"""Unites two versions of a ref that grows: notes as sets of lines, attachments as sets of files.

History says who wrote after whom, and anybody can write a commit on top of ours that lacks half of our records. So these
functions compare what the versions hold, never only their ancestry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pygit2

from autoqec.errors import AutoQECError
from autoqec.history.rounds.note_trees import changed_notes, lines_of
from autoqec.history.rounds.notes import merge_note_trees
from autoqec.history.store.objects import build_tree, check_files, entry_at, get_commit, is_commit, list_files, persist
from autoqec.history.store.refs import explain_write
from autoqec.history.store.repository import FALLBACK_EMAIL, FALLBACK_NAME, Ledger

_MOST_VERSIONS = 10_000  # commits of one attachment that are searched for the first version of a file


def unite(ledger: Ledger, kind: str, ref: str, mine: str, theirs: str) -> str:
    """Return the oid of a commit that descends from both versions and holds everything that either holds.

    It depends only on the two versions, so two clones that independently unite them get the same commit.

    Args:
        ledger: The lab; it has the objects of both versions.
        kind: `notes`, or a kind of attachment.
        ref: The ref's full name, for the commit's message and for errors.
        mine, theirs: Oids of the two versions; they differ.

    Raises:
        AutoQECError: A version is damaged or too large, or both hold a file with contents of their own.
    """
    one, other = get_commit(ledger, mine), get_commit(ledger, theirs)
    if ledger.repo.descendant_of(theirs, mine) and not any(lacking(ledger, kind, mine, theirs)):
        return theirs
    if ledger.repo.descendant_of(mine, theirs) and not any(lacking(ledger, kind, theirs, mine)):
        return mine
    with explain_write(ref):
        if kind == "notes":
            tree = merge_note_trees(ledger, mine, theirs)
        else:
            tree = build_tree(ledger, _unite_files(ledger, ref, mine, theirs))
        return _record(ledger, ref, tree, one, other)


def lacking(ledger: Ledger, kind: str, before: str, after: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Yield what one version of a ref holds and another lacks or holds in another form.

    Yields:
        For notes, a commit and the lines on it that are lacking. For attachments, a path; with no lines.
    """
    if kind != "notes":
        there = list_files(ledger, after)
        yield from ((path, ()) for path, oid in list_files(ledger, before).items() if there.get(path) != oid)
        return
    old, new = get_commit(ledger, before).tree, get_commit(ledger, after).tree
    for commit in sorted(set(changed_notes(ledger, old, new))):
        has = set(lines_of(ledger, new, commit, f"the note on {commit[:10]}"))
        if lines := [line for line in lines_of(ledger, old, commit, f"the note on {commit[:10]}") if line not in has]:
            yield commit, lines


def versions_before(ledger: Ledger, known: str | None, mine: str | None, theirs: str) -> list[str]:
    """Return versions of a ref that a remote must have held before `theirs`, as far as this lab knows.

    They are its version at the last fetch, and what `mine` and `theirs` have in common.
    """
    common = ledger.repo.merge_base(mine, theirs) if mine not in (None, theirs) else None
    found = dict.fromkeys([known, None if common is None else str(common)])
    return [oid for oid in found if oid not in (None, theirs) and is_commit(ledger, oid)]


def _unite_files(ledger: Ledger, ref: str, mine: str, theirs: str) -> Mapping[str, str]:
    here, there = list_files(ledger, mine), list_files(ledger, theirs)
    united = {**here, **there}
    for path in sorted(path for path in here.keys() & there.keys() if here[path] != there[path]):
        first = _first_contents(ledger, path, mine, theirs)
        if len(first) != 1:
            raise AutoQECError(f"{ref} is {mine} here but {theirs} there, with different contents of {path}")
        (united[path],) = first
    check_files(dict.fromkeys(united, b""), any_case=True)
    return united


def _first_contents(ledger: Ledger, path: str, *tips: str) -> set[str]:
    """Return the contents that a file of an attachment had at first, by all histories: files are written once.

    A later version is somebody's change of a record. There are several first contents if two clones wrote the file
    independently, and none if the search takes too long.
    """
    found: set[str] = set()
    seen, waiting = set(tips), list(tips)
    while waiting:
        commit = get_commit(ledger, waiting.pop())
        above = [str(oid) for oid in commit.parent_ids if _file(ledger, str(oid), path) is not None]
        if not above and (blob := _file(ledger, str(commit.id), path)) is not None:
            found.add(blob)
        waiting += [oid for oid in above if oid not in seen]
        seen.update(above)
        if len(seen) > _MOST_VERSIONS:
            return set()
    return found


def _file(ledger: Ledger, commit: str, path: str) -> str | None:
    tree = get_commit(ledger, commit).tree
    if ".autoqec" in tree:
        return None  # a round's commit, such as a failed merge's input: not a version of the attachment
    entry = entry_at(ledger, tree, path)
    return str(entry.id) if isinstance(entry, pygit2.Blob) else None


def _record(ledger: Ledger, ref: str, tree: str, one: pygit2.Commit, other: pygit2.Commit) -> str:
    # The author and time must not depend on who joins or when: the commit must be the same in every clone.
    signature = pygit2.Signature(FALLBACK_NAME, FALLBACK_EMAIL, max(one.commit_time, other.commit_time), 0)
    parents = sorted([one.id, other.id], key=str)
    message = f"Join two versions of {ref}\n"
    return persist(
        lambda: ledger.repo.create_commit(None, signature, signature, message, pygit2.Oid(hex=tree), parents)
    )
