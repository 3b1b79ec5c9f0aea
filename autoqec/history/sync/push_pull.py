"""Sharing a lab: `pull` takes up what another repository has, `push` gives it what is here. Neither ever loses anything.

A pull copies the other side's refs under `refs/autoqec-remote/<remote>/`, then joins each with ours. A push does the same
first, so that what it sends is a superset of what is there, and needs no force. Whoever comes second joins and tries again.

An archive travels too: where a round has come to `refs/autoqec/rounds/`, and only then, the branch that holds the same
commit goes, there after a push and here after a pull.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.rounds.round_commits import committed
from autoqec.history.rounds.run_refs import RUNS, check_run_name
from autoqec.history.store.git_program import (
    LostRaceError,
    Remote,
    bundle_remotes,
    delete_refs,
    fetch,
    find_remote,
    pause,
    push_refs,
    run_git,
)
from autoqec.history.store.ref_moves import move
from autoqec.history.store.refs import list_refs, target, write_lock
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.archived_branches import archived_there, drop_archived
from autoqec.history.sync.joining import SHARED, NumberTakenError, join, run_of, shared_kinds
from autoqec.history.sync.outgoing import leases, outgoing, refspecs, refuse_moved
from autoqec.history.sync.renumbering import renumber

_SHARE = "what is here was kept, all else was taken up; autoqec fsck, here and there, may say which of the two is amiss"
_RENUMBER = (
    "autoqec pull --renumber {0} gives the rounds here new numbers; clones that share a run keep it from happening with "
    "autoqec round --remote {0}"
)
_TRIES = 6
_MANY = 500  # refs; from so many on git had better pack them


@dataclass(frozen=True)
class SyncReport:
    """What a push or pull moved.

    Attributes:
        remote: The other repository, as it was named.
        received: Refs that are here now, or hold more, because of what it had.
        sent: Refs that it has now, or that hold more there, because of what is here.
        archived: Branches that went, here or there, for their rounds are archived on both sides.
        left: Branches of archived rounds that stay, here or there, each with the reason.
        renumbered: The new name of each round here that was given another number, by its old one.
    """

    remote: str
    received: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    archived: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)
    renumbered: Mapping[str, str] = field(default_factory=dict)


def pull(
    ledger: Ledger,
    remote: str = "origin",
    run: str | None = None,
    artifacts: bool = False,
    renumber_mine: bool = False,
) -> SyncReport:
    """Take up the rounds, notes, claims, attempts, traces and runs of another repository.

    What can be joined is joined, also where something else contradicts what is here.

    Args:
        ledger: The lab.
        remote: A configured remote's name, a URL, or the path of a repository or bundle.
        run: Only this run.
        artifacts: Trained weights too.
        renumber_mine: Give new numbers to rounds here that are not there and whose numbers belong to others there.

    Raises:
        NotFoundError: There is no such remote, or no such run on it.
        AutoQECError: It cannot be reached, or holds something other than we do under the same name; ours was kept.
    """
    there = find_remote(ledger, remote)
    report = _pull(ledger, there, run, artifacts, renumber_mine)
    if run is not None and not list_refs(ledger, f"{RUNS}{run}"):
        raise NotFoundError(f"{remote} has no run {run!r}", hint=f"autoqec pull {remote}")
    return report


def push(ledger: Ledger, remote: str = "origin", run: str | None = None, artifacts: bool = False) -> SyncReport:
    """Give another repository the rounds, notes, claims, attempts, traces and runs that are here, after a pull.

    Args:
        ledger: The lab.
        remote: A configured remote's name, a URL, or the path of a repository.
        run: Only this run.
        artifacts: Trained weights too.

    Raises:
        NotFoundError: There is no such remote or run.
        AutoQECError: It cannot be reached, refuses our refs, contradicts what is here, or others keep moving it.
    """
    there = find_remote(ledger, remote)
    if run is not None and target(ledger, RUNS + check_run_name(run)) is None:
        raise NotFoundError(f"there is no run {run!r} to push", hint="autoqec log")
    received: dict[str, None] = {}
    archived: dict[str, None] = {}
    lost = ""
    for attempt in range(_TRIES):
        pulled = _pull(ledger, there, run, artifacts)
        received |= dict.fromkeys(pulled.received)
        archived |= dict.fromkeys(pulled.archived)
        todo = outgoing(ledger, there, run, artifacts)
        refuse_moved(ledger, todo)
        try:
            push_refs(ledger, there, refspecs(ledger, todo), leases(todo))
        except LostRaceError as error:
            lost = error.problem
            pause(attempt)
            continue
        remember(ledger, there, {ref: oid for ref, oid, _ in todo})
        gone, left = _follow_archive(ledger, there, run)
        sent = tuple(ref for ref, _, _ in todo)
        return SyncReport(remote, tuple(received), sent, tuple(archived | gone), {**pulled.left, **left})
    raise AutoQECError(f"{lost}, at each of {_TRIES} tries", hint="autoqec push, in a while")


def adopt_bundle(ledger: Ledger) -> SyncReport | None:
    """Take up, once, all that a bundle holds that this lab was cloned from; `git clone` takes its branches only.

    Returns:
        What was taken up; None if the lab is no clone of a bundle on this machine, or was given its contents already.

    Raises:
        AutoQECError: The bundle cannot be read.
    """
    for name in bundle_remotes(ledger):
        if not list_refs(ledger, find_remote(ledger, name).tracking):
            return pull(ledger, name, artifacts=True)
    return None


def runs_elsewhere(ledger: Ledger) -> dict[str, list[str]]:
    """Runs whose branches `git clone` or `git fetch` brought, but that are not here: their names by remote."""
    here = list_refs(ledger, RUNS)
    found: dict[str, set[str]] = {}
    for ref in list_refs(ledger, "refs/remotes/"):
        match = re.fullmatch("refs/remotes/(.+)/exp/([a-z0-9][a-z0-9-]{0,39})/[0-9]+", ref)
        if match and RUNS + match[2] not in here:
            found.setdefault(match[1], set()).add(match[2])
    return {remote: sorted(runs) for remote, runs in sorted(found.items())}


def fetch_kinds(ledger: Ledger, remote: Remote, run: str | None, kinds: Iterable[str]) -> None:
    """Bring copies of some kinds of refs of a remote under its tracking namespace.

    Raises:
        UsageError: The run's name is none.
        AutoQECError: It cannot be reached.
    """
    if run is not None:
        check_run_name(run)
    sources = []
    for kind in kinds:
        # A pattern may match nothing, as a name may not; what it matches beyond this run is told apart later.
        pattern = "*" if run is None else f"{run}*" if kind == "runs" else f"{run}/*"
        sources.append((f"{SHARED[kind]}{pattern}", f"{kind}/{pattern}"))
    fetch(ledger, remote, sources)


def remember(ledger: Ledger, remote: Remote, refs: Mapping[str, str | None]) -> None:
    """Note what a remote's refs hold after a push, None for one that is gone; the next fetch would find the same."""
    moves: dict[str, str | None] = {}
    for ref, oid in refs.items():
        kind = next(kind for kind, prefix in SHARED.items() if ref.startswith(prefix))
        moves[f"{remote.tracking}{kind}/{ref.removeprefix(SHARED[kind])}"] = oid
    with write_lock(ledger):
        have = list_refs(ledger, remote.tracking)
        move(ledger, {ref: (have.get(ref), oid) for ref, oid in moves.items() if have.get(ref) != oid}, "push")


def _follow_archive(ledger: Ledger, remote: Remote, run: str | None) -> tuple[dict[str, None], dict[str, str]]:
    """Delete a remote's branches of rounds that it has archived; what went, and what stays there for which reason."""
    branches = archived_there(ledger, remote, run)
    refused = delete_refs(ledger, remote, branches)
    gone = dict.fromkeys(ref for ref in branches if ref not in refused)
    remember(ledger, remote, gone)
    left = {f"{ref.removeprefix('refs/heads/')} on {remote.name}": why for ref, why in refused.items()}
    return gone, left


def _pull(ledger: Ledger, remote: Remote, run: str | None, artifacts: bool, renumber_mine: bool = False) -> SyncReport:
    known = list_refs(ledger, remote.tracking)
    fetch_kinds(ledger, remote, run, shared_kinds(artifacts))
    contradictions: list[AutoQECError] = []
    taken: set[str] = set()
    with write_lock(ledger):
        renumbered = renumber(ledger, remote, run) if renumber_mine else {}
        theirs = list_refs(ledger, remote.tracking)
        mine = list_refs(ledger, "refs/")
        moves: dict[str, tuple[str | None, str | None]] = {}
        for kind, ref, tracked in _names(theirs, remote.tracking, run, artifacts):
            old, other = mine.get(ref), theirs[tracked]
            if kind != "notes" and ref.removeprefix(SHARED[kind]) in taken:
                continue  # nothing of another round is to come under the number of ours
            if kind == "exp":
                place = ref.removeprefix(SHARED["exp"])
                old = mine.get(SHARED["rounds"] + place, old)  # what was archived here is not to come back
                if theirs.get(f"{remote.tracking}rounds/{place}") == other and old in (None, other):
                    continue  # it comes as archived
                if old not in (None, other) and _moved_here(ledger, place, str(old), other):
                    continue  # a person's branch is theirs to move; a push of it is refused
            try:
                new = join(ledger, kind, ref, old, other, known.get(tracked))
            except AutoQECError as error:
                contradictions.append(error)
                if isinstance(error, NumberTakenError):
                    taken.add(ref.removeprefix(SHARED[kind]))
                continue
            if new != old:
                moves[ref] = (old, new)
        move(ledger, moves, f"pull from {remote.name}")
        gone, left = drop_archived(ledger, remote, run)
    if len(moves) >= _MANY:
        run_git(ledger, "pack-refs", "--all")
    if contradictions:
        more = f" (and {len(contradictions) - 1} more)" if len(contradictions) > 1 else ""
        raise AutoQECError(
            f"{remote.name} contradicts this lab: {contradictions[0].problem}{more}",
            hint=f"what is here was kept, all else was taken up; {_RENUMBER.format(remote.name)}" if taken else _SHARE,
        )
    return SyncReport(remote.name, tuple(moves), archived=tuple(gone), left=left, renumbered=renumbered)


def _moved_here(ledger: Ledger, place: str, tip: str, theirs: str) -> bool:
    """Whether a branch that differs from a remote's was moved here, and the round is what the remote has."""
    run, _, number = place.partition("/")
    try:
        return committed(ledger, run, int(number), tip) == theirs
    except AutoQECError:  # a damaged claim is said elsewhere
        return False


def _names(
    tracked: Mapping[str, str], tracking: str, run: str | None, artifacts: bool
) -> Iterable[tuple[str, str, str]]:
    """Kind, ref here and tracking ref of all that is to be joined, in the order in which it is to be written."""
    for kind in shared_kinds(artifacts):
        prefix = f"{tracking}{kind}/"
        for ref in sorted(tracked):
            if ref.startswith(prefix):
                name = ref.removeprefix(prefix)
                owner = run_of(kind, name)  # a remote may hold anything; what is not named like ours is left alone
                if owner is not None and run in (None, owner):
                    yield kind, SHARED[kind] + name, ref
