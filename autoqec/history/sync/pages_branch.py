"""The branch `autoqec-log`: pages about the record for hosts to show, rebuilt from it at any time and pushed without force.

The branch is no record: nothing reads it, and whoever deletes it loses nothing. Each commit has the one before as its parent.
Files of it that are not ours, such as a `CNAME`, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pygit2
from pygit2.enums import FileMode

from autoqec.errors import AutoQECError
from autoqec.history.store.git_program import LostRaceError, Remote, fetch, find_remote, pause, push_refs
from autoqec.history.store.objects import (
    build_tree,
    entry_of,
    get_commit,
    is_commit,
    persist,
    write_blobs,
    write_commit,
)
from autoqec.history.store.ref_moves import move_at_once
from autoqec.history.store.refs import explain_write, list_refs, target, write_lock
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.archived_branches import checked_out

PAGES_BRANCH = "autoqec-log"

_REF = f"refs/heads/{PAGES_BRANCH}"
_TRACKED = "pages/"

#: The file that tells a branch of ours from one that has the name by chance.
_MARK = ".autoqec-log"
_MARKED = b"Pages that `autoqec publish` writes. It replaces README.md, index.html and rounds/, and leaves other files alone.\n"

_TRIES = 6


@dataclass(frozen=True)
class Pages:
    """What a publication did.

    Attributes:
        commit: The branch's commit.
        new: Whether this publication made it; False if nothing had changed.
        sent: Whether the remote got it.
    """

    commit: str
    new: bool
    sent: bool


def publish_pages(ledger: Ledger, files: Mapping[str, bytes], remote: str | None = None) -> Pages:
    """Write pages as a commit on the branch, if they differ from those that are there, and push it.

    Neither the working tree nor the index nor HEAD changes.

    Args:
        ledger: The lab.
        files: All pages by path. Folders of other pages with the same name are replaced.
        remote: A configured remote's name, a URL or a path; None to push nowhere.

    Raises:
        NotFoundError: There is no such remote.
        AutoQECError: The branch here or there is not one of pages, is checked out, or the remote refuses it or keeps moving.
    """
    there = None if remote is None else find_remote(ledger, remote)
    new, lost = False, ""
    for attempt in range(_TRIES):
        theirs = None if there is None else _fetched(ledger, there)
        commit, made = _written(ledger, files, theirs, there)
        new |= made
        if there is None or commit == theirs:
            return Pages(commit, new, sent=False)
        try:
            push_refs(ledger, there, [f"{commit}:{_REF}"], [(_REF, theirs or "")])
        except LostRaceError as error:
            lost = error.problem
            pause(attempt)
            continue
        return Pages(commit, new, sent=True)
    raise AutoQECError(f"{lost}, at each of {_TRIES} tries", hint="run autoqec publish again later")


def _fetched(ledger: Ledger, remote: Remote) -> str | None:
    """The branch's commit on a remote; None if it has none. A pattern may match nothing, where a name must exist."""
    fetch(ledger, remote, [(f"{_REF}*", f"{_TRACKED}{PAGES_BRANCH}*")])
    found = list_refs(ledger, f"{remote.tracking}{_TRACKED}")
    _require_room(found, f"{remote.tracking}{_TRACKED}{PAGES_BRANCH}", f" of {remote.name}")
    return found.get(f"{remote.tracking}{_TRACKED}{PAGES_BRANCH}")


def _written(ledger: Ledger, files: Mapping[str, bytes], theirs: str | None, remote: Remote | None) -> tuple[str, bool]:
    """The commit with these pages, and whether it is new. It stands on the remote's, or on the one here if that is newer."""
    for _ in range(_TRIES):
        with write_lock(ledger), explain_write(_REF):
            ours = target(ledger, _REF)
            _require_room(list_refs(ledger, f"{_REF}/"), _REF, "")
            _require_pages(ledger, ours, None)
            _require_pages(ledger, theirs, remote)
            before = theirs if theirs is not None and not _holds(ledger, ours, theirs) else ours
            tree = _tree(ledger, files, before)
            unchanged = before is not None and str(get_commit(ledger, before).tree_id) == tree
            above = [] if before is None else [before]
            commit = before if unchanged and before else write_commit(ledger, "Pages of the record\n", tree, above)
            if commit == ours:
                return commit, False
            if PAGES_BRANCH in {name.removeprefix("refs/heads/") for name in checked_out(ledger)}:
                raise AutoQECError(
                    f"the branch {PAGES_BRANCH} is checked out, so it cannot be moved",
                    hint="git switch main, or another branch",
                )
            if move_at_once(ledger, {_REF: (ours, commit)}, "publish"):
                return commit, not unchanged
    raise AutoQECError(f"another tool keeps moving {_REF}", hint="run autoqec publish again later")


def _holds(ledger: Ledger, tip: str | None, commit: str) -> bool:
    """Whether a commit is the tip or one of those below it."""
    return tip is not None and (tip == commit or bool(ledger.repo.descendant_of(tip, commit)))


def _require_room(refs: Iterable[str], ref: str, of: str) -> None:
    """Refuse branches below the name of ours: git has no room for both.

    Raises:
        AutoQECError: There is one.
    """
    below = next((name for name in sorted(refs) if name.startswith(f"{ref}/")), None)
    if below is not None:
        name = f"{PAGES_BRANCH}{below.removeprefix(ref)}"
        raise AutoQECError(
            f"the branch {name}{of} leaves no room for {PAGES_BRANCH}",
            hint=f"rename {name}{of}, and publish again",
            code="foreign_branch",
        )


def _require_pages(ledger: Ledger, commit: str | None, remote: Remote | None) -> None:
    """Refuse a branch, of a remote or of this lab, that has the name and is not of pages.

    Raises:
        AutoQECError: It is not.
    """
    if commit is None:
        return
    mark = entry_of(get_commit(ledger, commit).tree, _MARK) if is_commit(ledger, commit) else None
    if not isinstance(mark, pygit2.Blob):
        of = f" of {remote.name}" if remote else ""
        raise AutoQECError(
            f"the branch {PAGES_BRANCH}{of} was not written by autoqec publish: it has no file {_MARK}",
            hint=f"rename it{of}, and publish again{'' if remote else f': git branch -m {PAGES_BRANCH} <other>'}",
            code="foreign_branch",
        )


def _tree(ledger: Ledger, files: Mapping[str, bytes], before: str | None) -> str:
    """The tree with the pages in the place of those of a commit, and its other files."""
    pages = build_tree(ledger, write_blobs(ledger, {**files, _MARK: _MARKED}))
    if before is None:
        return pages
    builder = ledger.repo.TreeBuilder(get_commit(ledger, before).tree)
    for entry in ledger.repo[pages].peel(pygit2.Tree):
        mode = FileMode.TREE if isinstance(entry, pygit2.Tree) else FileMode.BLOB
        builder.insert(str(entry.name), entry.id, mode)
    return persist(builder.write)
