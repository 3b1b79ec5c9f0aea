"""Computes what a push sends: the refs that the remote lacks, as last fetched, and the refspecs for git."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pygit2

from autoqec.errors import AutoQECError
from autoqec.history.rounds.note_trees import changed_notes as changes
from autoqec.history.rounds.note_trees import walk_notes
from autoqec.history.rounds.round_commits import BRANCHES, committed
from autoqec.history.store.git_program import TRACKING, Remote, bundle_remotes, find_remote
from autoqec.history.store.objects import get_commit
from autoqec.history.store.refs import every_ref, is_dropped, list_refs
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.archived_branches import archived_branches
from autoqec.history.sync.joining import SHARED, run_of, shared_kinds

Outgoing = tuple[str, str, str | None]

_FOLDER = 20  # with more refs than this in a folder, push the folder as one refspec


def outgoing(ledger: Ledger, remote: Remote, run: str | None, artifacts: bool) -> list[Outgoing]:
    """List what the remote lacks, as last fetched: ref, oid here, oid there. The branch of an archived round is left out."""
    theirs = list_refs(ledger, remote.tracking)
    mine = list_refs(ledger, "refs/")
    archived = archived_branches(mine)
    todo = []
    for kind in shared_kinds(artifacts):
        prefix = SHARED[kind]
        for ref, oid in sorted(mine.items()):
            if ref.startswith(prefix) and ref not in archived:
                name = ref.removeprefix(prefix)
                owner = run_of(kind, name)
                there = theirs.get(f"{remote.tracking}{kind}/{name}")
                if (
                    kind == "notes"
                    and is_dropped(ledger, str(owner))
                    and f"{remote.tracking}runs/{owner}" not in theirs
                ):
                    continue  # of a run that nobody there has heard of
                if owner is not None and run in (None, owner) and there != oid:
                    todo.append((ref, oid, there))
    return todo


def refuse_moved(ledger: Ledger, todo: Iterable[Outgoing]) -> None:
    """Check that every branch to push is at its round's commit; otherwise others would take its tip for the round.

    See `committed` for which commit is the round's.

    Raises:
        AutoQECError: A branch is elsewhere; the error names it and gives the commands that correct it.
    """
    for ref, oid, _ in todo:
        if not ref.startswith(BRANCHES):
            continue
        name = ref.removeprefix(BRANCHES)
        run, _, number = name.partition("/")
        commit = committed(ledger, run, int(number), oid)
        if commit == oid:
            continue
        branch = f"exp/{name}"
        keep = f"git branch {run}-{number}-mine {oid[:10]}"
        raise AutoQECError(
            f"{branch} has moved to {oid[:10]}, which is not the commit of that round"
            + (f", {commit[:10]}" if commit else "")
            + "; nothing was pushed",
            hint=f"{keep}; git branch -f {branch} {commit[:10]}" if commit else f"git log {branch}; autoqec fsck",
        )


def leases(todo: Iterable[Outgoing]) -> list[tuple[str, str]]:
    """Return the oids that the remote must still hold, for refs that git cannot fast-forward."""
    # A claim is a blob, so git cannot check that it moves forward; all other refs fast-forward.
    return [(ref, there) for ref, _, there in todo if there is not None and ref.startswith(SHARED["claims"])]


def refspecs(ledger: Ledger, todo: Iterable[Outgoing]) -> list[str]:
    """Return the refspecs for a push: one per ref, or one per folder with many refs.

    Git compares every refspec with every ref, which takes most of a minute for the first push of a thousand rounds.
    """
    folders: dict[str, list[str]] = {}
    for ref, oid, _ in todo:
        folders.setdefault(ref.rpartition("/")[0], []).append(f"{oid}:{ref}")
    large = [folder for folder, specs in folders.items() if len(specs) > _FOLDER]
    mine = every_ref(ledger, "refs/") if large else {}
    hidden = mine.keys() - list_refs(ledger, "refs/").keys() if large else set()
    for folder in large:
        kind = next(kind for kind, prefix in SHARED.items() if folder.startswith(prefix.rstrip("/")))
        inside = {ref for ref in mine if ref.startswith(f"{folder}/")}
        ours = all(run_of(kind, ref.removeprefix(SHARED[kind])) for ref in inside)
        if ours and not inside & (
            archived_branches(mine) | hidden
        ):  # otherwise the folder holds refs that must not be pushed
            folders[folder] = [f"{folder}/*:{folder}/*"]
    return [spec for specs in folders.values() for spec in specs]


@dataclass(frozen=True)
class Unpushed:
    """What a remote lacked at the last fetch: number of rounds, and number of commits with new notes."""

    rounds: int
    notes: int


def pushable(ledger: Ledger) -> list[str]:
    """Return the configured remotes except bundles, to which you cannot push."""
    return sorted({str(name) for name in ledger.repo.remotes.names()} - set(bundle_remotes(ledger)))


def unpushed(ledger: Ledger, *, looked_at: bool = False) -> dict[str, Unpushed]:
    """Return what each remote lacks, as last fetched; this does not contact the remotes.

    Args:
        ledger: The lab.
        looked_at: Leave out remotes that were never fetched.
    """
    found = {}
    for name in pushable(ledger):
        if looked_at and not list_refs(ledger, f"{TRACKING}{name}/"):
            continue
        todo = outgoing(ledger, find_remote(ledger, name), None, artifacts=False)
        rounds = {match[1] for ref, _, _ in todo if (match := re.fullmatch("refs/.+/([^/]+/[0-9]+)", ref))}
        notes = sum(changed_notes(ledger, oid, there) for ref, oid, there in todo if ref.startswith(SHARED["notes"]))
        found[name] = Unpushed(len(rounds), notes)
    return found


def changed_notes(ledger: Ledger, here: str, there: str | None) -> int:
    """Count the commits whose notes differ between this lab and a remote.

    Args:
        ledger: The lab.
        here: Oid of the notes commit here.
        there: Oid of the notes commit on the remote, or None.
    """
    try:
        tree = get_commit(ledger, here).tree
        if there is None:
            return sum(1 for _ in walk_notes(ledger, tree))
        if ledger.repo.descendant_of(there, here):
            return 0
        return sum(1 for _ in changes(ledger, tree, get_commit(ledger, there).tree))
    except (AutoQECError, KeyError, pygit2.GitError):
        return 0  # damaged or deleted; reading the notes themselves reports it
