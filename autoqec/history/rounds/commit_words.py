"""A line about each round in git's own notes, `refs/notes/commits`, which `git log` and Gitea show beside the commit.

These notes are the user's. A line of ours has a word of its own before it, only such lines are replaced, and every other byte of
a note stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import pygit2

from autoqec.errors import AutoQECError
from autoqec.history.rounds.note_trees import put_note
from autoqec.history.store.objects import entry_of, get_blob, get_commit, inside, is_commit, write_commit
from autoqec.history.store.ref_moves import move_at_once
from autoqec.history.store.refs import explain_write, target, write_lock
from autoqec.history.store.repository import Ledger

NOTES_OF_COMMITS = "refs/notes/commits"

#: What a line of ours begins with.
PREFIX = b"autoqec/verdict: "

_TRIES = 6


def write_commit_words(ledger: Ledger, words: Mapping[str, str]) -> int:
    """Set our line in the notes of commits.

    Args:
        ledger: The lab.
        words: The line, without its prefix, by commit. Commits that are not here are left out.

    Returns:
        How many notes changed.

    Raises:
        AutoQECError: The notes cannot be read or written, or another tool keeps moving them.
    """
    for _ in range(_TRIES):
        with write_lock(ledger), explain_write(NOTES_OF_COMMITS):
            old = target(ledger, NOTES_OF_COMMITS)
            root = None if old is None else get_commit(ledger, old).tree
            changed = 0
            for commit, word in words.items():
                if not is_commit(ledger, commit):
                    continue
                note = _note(ledger, root, commit)
                wanted = _with_line(note, PREFIX + " ".join(word.split()).encode())
                if wanted != note:
                    root = ledger.repo[put_note(ledger, root, commit, wanted)].peel(pygit2.Tree)
                    changed += 1
            if root is None or not changed:
                return 0
            why = f"Verdicts of {changed} rounds\n"
            new = write_commit(ledger, why, str(root.id), [] if old is None else [old])
            if move_at_once(ledger, {NOTES_OF_COMMITS: (old, new)}, "publish"):
                return changed
    raise AutoQECError(f"another tool keeps moving {NOTES_OF_COMMITS}", hint="run autoqec publish --notes again")


def _note(ledger: Ledger, root: pygit2.Tree | None, commit: str) -> bytes:
    """A commit's note as it stands, from every path that git may have put it at; empty if there is none."""
    found, tree, rest = b"", root, commit
    while tree is not None and rest:
        entry = entry_of(tree, rest)
        if isinstance(entry, pygit2.Blob):
            found += get_blob(ledger, str(entry.id), name=f"{NOTES_OF_COMMITS} on {commit[:10]}")
        folder = entry_of(tree, rest[:2])
        tree = inside(ledger, folder, "a folder of notes") if isinstance(folder, pygit2.Tree) else None
        rest = rest[2:]
    return found


def _with_line(note: bytes, line: bytes) -> bytes:
    """A note with our line in the place of an earlier one, or after what is there."""
    lines = note.split(b"\n")
    ours = [place for place, each in enumerate(lines) if each.startswith(PREFIX)]
    if ours:
        lines[ours[0]] = line
        return b"\n".join(each for place, each in enumerate(lines) if place not in ours[1:])
    return note + (b"" if not note or note.endswith(b"\n") else b"\n") + line + b"\n"
