"""What a push has to send: the refs that the other repository lacks, as far as we know, and how to tell git so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pygit2

from autoqec.errors import AutoQECError
from autoqec.history.rounds.round_commits import BRANCHES, committed
from autoqec.history.store.git_program import TRACKING, Remote, bundle_remotes, find_remote
from autoqec.history.store.objects import get_commit
from autoqec.history.store.refs import list_refs
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.archived_branches import archived_branches
from autoqec.history.sync.joining import SHARED, run_of, shared_kinds

Outgoing = tuple[str, str, str | None]

_FOLDER = 20  # refs; from so many on they are pushed as a folder


def outgoing(ledger: Ledger, remote: Remote, run: str | None, artifacts: bool) -> list[Outgoing]:
    """What the remote lacks, as far as we know: ref, oid here, oid there. Of an archived round, its branch is not sent."""
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
                if owner is not None and run in (None, owner) and there != oid:
                    todo.append((ref, oid, there))
    return todo


def refuse_moved(ledger: Ledger, todo: Iterable[Outgoing]) -> None:
    """Refuse to send a branch that is not at its round's commit: others would take that tip for the round.

    Which commit the round is, its claim says; while it is not closed, the trailers of the commit that first was there.

    Raises:
        AutoQECError: There is such a branch; it is named, with the mend.
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
            + "; nothing was sent",
            hint=f"{keep}; git branch -f {branch} {commit[:10]}" if commit else f"git log {branch}; autoqec fsck",
        )


def leases(todo: Iterable[Outgoing]) -> list[tuple[str, str]]:
    """The oids that the remote must still hold where git would not fast-forward."""
    # A claim is a blob, so git cannot tell whether it moved forward; everything else it can, and will not be forced.
    return [(ref, there) for ref, _, there in todo if there is not None and ref.startswith(SHARED["claims"])]


def refspecs(ledger: Ledger, todo: Iterable[Outgoing]) -> list[str]:
    """What to tell git to push: refs one by one, or as a folder where they are many.

    Git compares every refspec with every ref, which for the first push of a thousand rounds takes most of a minute.
    """
    folders: dict[str, list[str]] = {}
    for ref, oid, _ in todo:
        folders.setdefault(ref.rpartition("/")[0], []).append(f"{oid}:{ref}")
    large = [folder for folder, specs in folders.items() if len(specs) > _FOLDER]
    mine = list_refs(ledger, "refs/") if large else {}
    for folder in large:
        kind = next(kind for kind, prefix in SHARED.items() if folder.startswith(prefix.rstrip("/")))
        inside = {ref for ref in mine if ref.startswith(f"{folder}/")}
        ours = all(run_of(kind, ref.removeprefix(SHARED[kind])) for ref in inside)
        if ours and not inside & archived_branches(mine):  # else the folder holds what is not ours to push
            folders[folder] = [f"{folder}/*:{folder}/*"]
    return [spec for specs in folders.values() for spec in specs]


@dataclass(frozen=True)
class Unpushed:
    """What a remote did not have, or had less of, when last looked at: so many rounds, and notes on so many commits."""

    rounds: int
    notes: int


def pushable(ledger: Ledger) -> list[str]:
    """The configured remotes, without the bundles among them, which nothing can be pushed to."""
    return sorted({str(name) for name in ledger.repo.remotes.names()} - set(bundle_remotes(ledger)))


def unpushed(ledger: Ledger, *, looked_at: bool = False) -> dict[str, Unpushed]:
    """What each remote lacks, as far as we know. Nothing is sent to find out.

    Args:
        ledger: The lab.
        looked_at: Leave out remotes of which nothing is known: that nothing was pushed there is no news.
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
    """On how many commits a notes ref says something here that it does not say there.

    Args:
        ledger: The lab.
        here: Oid of the notes commit here.
        there: Oid of the one there, or None.
    """
    try:
        tree = get_commit(ledger, here).tree
        if there is None:
            return len(tree.diff_to_tree())
        if ledger.repo.descendant_of(there, here):
            return 0
        return len(tree.diff_to_tree(get_commit(ledger, there).tree))
    except (AutoQECError, KeyError, pygit2.GitError):
        return 0  # damaged or collected; reading the notes themselves says so
