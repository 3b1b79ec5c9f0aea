"""Shares a lab: `pull` fetches and joins the records of a remote, `push` sends ours. Neither ever loses data.

A pull copies the remote's refs under `refs/autoqec-remote/<remote>/`, then joins each with the local ref. A push pulls first,
so it sends a superset of what the remote has and needs no force. If another push comes first, it joins and tries again.

Archiving propagates: once a round is at `refs/autoqec/rounds/` on the other side, its branch with the same commit is deleted,
on the remote after a push and in this lab after a pull.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.reading.run_chain import remember_new_heads
from autoqec.history.rounds.notes import NOTES
from autoqec.history.rounds.round_commits import committed
from autoqec.history.rounds.run_refs import RUNS, check_run_name
from autoqec.history.store.dropped_refs import MARKS, Marks, kept_at, owner_of, whole_record
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
from autoqec.history.store.objects import TooLargeError
from autoqec.history.store.ref_listing import many_loose_refs
from autoqec.history.store.ref_moves import move
from autoqec.history.store.refs import every_ref, list_refs, target, write_lock
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.archived_branches import archived_there, drop_archived
from autoqec.history.sync.dropped import Dropped, deleted_there, dropped_there
from autoqec.history.sync.dropping import finish_drops
from autoqec.history.sync.joining import SHARED, NumberTakenError, join, run_of, shared_kinds
from autoqec.history.sync.outgoing import leases, outgoing, refspecs, refuse_moved
from autoqec.history.sync.renumbering import renumber
from autoqec.size_limits import REFS

_SHARE = "all else was pulled and local data was kept; autoqec fsck in both labs may show which side is wrong"
_RENUMBER = (
    "autoqec pull --renumber {0} gives the local rounds new numbers; to avoid it in a shared run, use "
    "autoqec round --remote {0}"
)
_RESTORE = "autoqec drop --restore {1}, then autoqec pull --renumber {0}, which gives that round a new number; then drop it again"
_TRIES = 6
_MANY = 500  # pack refs after a pull that moves at least this many, or finds more in files of their own


@dataclass(frozen=True)
class SyncReport:
    """The result of a push or pull.

    Attributes:
        remote: The remote, as the user named it.
        received: Local refs that were created or moved.
        sent: Refs on the remote that were created or moved.
        archived: Branches deleted on either side, because their rounds are archived on both.
        left: Branches of archived rounds that stay on either side, each with the reason.
        renumbered: The new name of each renumbered local round, by its old name.
        dropped: Records that the remote had once and no longer has as they were. They are kept here.
        dropped_here: Runs and rounds that the remote has in its lists and that are dropped here. They stay dropped.
    """

    remote: str
    received: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    archived: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)
    renumbered: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    dropped_here: tuple[str, ...] = ()


def pull(
    ledger: Ledger,
    remote: str = "origin",
    run: str | None = None,
    artifacts: bool = False,
    renumber_mine: bool = False,
) -> SyncReport:
    """Fetch rounds, notes, claims, attempts, traces and runs from a remote and join them with the local ones.

    After a contradiction it still joins everything else, then raises an error.

    Args:
        ledger: The lab.
        remote: A configured remote's name, a URL, or the path of a repository or bundle.
        run: Only this run.
        artifacts: Also fetch trained weights.
        renumber_mine: Give new numbers to local rounds that the remote lacks and whose numbers it gave to other rounds.

    Raises:
        NotFoundError: There is no such remote, or it has no such run.
        AutoQECError: The remote is unreachable or contradicts this lab; local data was kept.
    """
    there = find_remote(ledger, remote)
    report = _pull(ledger, there, run, artifacts, renumber_mine)
    if run is not None and not list_refs(ledger, f"{RUNS}{run}"):
        raise NotFoundError(f"{remote} has no run {run!r}", hint=f"autoqec pull {remote}")
    return report


def push(
    ledger: Ledger,
    remote: str = "origin",
    run: str | None = None,
    artifacts: bool = False,
    *,
    own_weights: bool = False,
) -> SyncReport:
    """Pull from a remote, then send it the local rounds, notes, claims, attempts, traces and runs.

    Args:
        ledger: The lab.
        remote: A configured remote's name, a URL, or the path of a repository.
        run: Only this run.
        artifacts: Also send trained weights, and fetch those that the remote has.
        own_weights: Also send trained weights, and fetch none.

    Raises:
        NotFoundError: There is no such remote or run.
        AutoQECError: The remote is unreachable, refuses our refs, contradicts this lab, or keeps changing.
    """
    there = find_remote(ledger, remote)
    if run is not None and target(ledger, RUNS + check_run_name(run)) is None:
        raise NotFoundError(f"there is no run {run!r} to push", hint="autoqec log")
    received: dict[str, None] = {}
    archived: dict[str, None] = {}
    dropped: dict[Dropped, None] = {}
    lost = ""
    for attempt in range(_TRIES):
        # Another clone may have sent weights of a round that this one has too; then they must be united.
        pulled = _pull(ledger, there, run, artifacts or (own_weights and attempt == _TRIES - 1))
        received |= dict.fromkeys(pulled.received)
        archived |= dict.fromkeys(pulled.archived)
        dropped |= dict.fromkeys(pulled.dropped)
        todo = outgoing(ledger, there, run, artifacts or own_weights)
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
        stays = {**pulled.left, **left}
        return SyncReport(
            *(remote, tuple(received), sent, tuple(archived | gone), stays),
            dropped=tuple(dropped),
            dropped_here=pulled.dropped_here,
        )
    raise AutoQECError(f"{lost}, at each of {_TRIES} tries", hint="run autoqec push again later")


def fetch_bundle(ledger: Ledger) -> SyncReport | None:
    """Fetch everything, once, from the bundle that this lab was cloned from; `git clone` copies only its branches.

    Returns:
        The result; None if the lab is not a clone of a bundle on this machine, or has fetched it already.

    Raises:
        AutoQECError: The bundle is not readable.
    """
    for name in bundle_remotes(ledger):
        if not list_refs(ledger, find_remote(ledger, name).tracking):
            return pull(ledger, name, artifacts=True)
    return None


def runs_elsewhere(ledger: Ledger) -> dict[str, list[str]]:
    """Return runs that are known only by remote branches (from `git clone` or `git fetch`): their names by remote.

    A run that was dropped here is not among them: a pull would not bring it back.
    """
    here, dropped = list_refs(ledger, RUNS), Marks.among(every_ref(ledger, MARKS))
    found: dict[str, set[str]] = {}
    for ref in list_refs(ledger, "refs/remotes/"):
        match = re.fullmatch("refs/remotes/(.+)/exp/([a-z0-9][a-z0-9-]{0,39})/[0-9]+", ref)
        if match and RUNS + match[2] not in here and not dropped.has(match[2], None):
            found.setdefault(match[1], set()).add(match[2])
    return {remote: sorted(runs) for remote, runs in sorted(found.items())}


def fetch_kinds(ledger: Ledger, remote: Remote, run: str | None, kinds: Iterable[str]) -> None:
    """Copy some kinds of refs of a remote into its tracking namespace.

    Raises:
        UsageError: `run` is not a run name.
        AutoQECError: The remote is unreachable.
    """
    if run is not None:
        check_run_name(run)
    sources = []
    for kind in kinds:
        # A pattern may match nothing, where a name must exist; refs of other runs that it matches are filtered later.
        pattern = "*" if run is None else f"{run}*" if kind == "runs" else f"{run}/*"
        sources.append((f"{SHARED[kind]}{pattern}", f"{kind}/{pattern}"))
    fetch(ledger, remote, sources)


def remember(ledger: Ledger, remote: Remote, refs: Mapping[str, str | None]) -> None:
    """Update the tracking refs after a push, as the next fetch would; None for a deleted ref."""
    moves: dict[str, str | None] = {}
    for ref, oid in refs.items():
        kind = next(kind for kind, prefix in SHARED.items() if ref.startswith(prefix))
        moves[f"{remote.tracking}{kind}/{ref.removeprefix(SHARED[kind])}"] = oid
    with write_lock(ledger):
        have = list_refs(ledger, remote.tracking)
        move(ledger, {ref: (have.get(ref), oid) for ref, oid in moves.items() if have.get(ref) != oid}, "push")


def _follow_archive(ledger: Ledger, remote: Remote, run: str | None) -> tuple[dict[str, None], dict[str, str]]:
    """Delete a remote's branches of rounds that it has archived; return the deleted ones, and the others with reasons."""
    branches = archived_there(ledger, remote, run)
    refused = delete_refs(ledger, remote, branches)
    gone = dict.fromkeys(ref for ref in branches if ref not in refused)
    remember(ledger, remote, gone)
    left = {f"{ref.removeprefix('refs/heads/')} on {remote.name}": why for ref, why in refused.items()}
    return gone, left


def _pull(ledger: Ledger, remote: Remote, run: str | None, artifacts: bool, renumber_mine: bool = False) -> SyncReport:
    known = list_refs(ledger, remote.tracking)
    fetch_kinds(ledger, remote, run, shared_kinds(artifacts))
    finish_drops(ledger)
    with write_lock(ledger):
        renumbered = renumber(ledger, remote, run) if renumber_mine else {}
        joined = _join_all(ledger, remote, known, run, artifacts)
        move(ledger, joined.moves, f"pull from {remote.name}")
        for ref, (before, after) in joined.moves.items():
            if ref.startswith(NOTES) and ref.endswith("/verdict") and after is not None:
                remember_new_heads(ledger, ref.removeprefix(NOTES).partition("/")[0], before, after)
        gone, left = drop_archived(ledger, remote, run)
    if len(joined.moves) >= _MANY or many_loose_refs(ledger.git_dir, _MANY):
        run_git(ledger, "pack-refs", "--all")
    if contradictions := joined.contradictions:
        more = f" (and {len(contradictions) - 1} more)" if len(contradictions) > 1 else ""
        kept = f"all else was pulled and local data was kept; {_RENUMBER.format(remote.name)}"
        raise AutoQECError(
            f"{remote.name} contradicts this lab: {contradictions[0].problem}{more}",
            hint=joined.hint or (kept if joined.taken else _SHARE),
        )
    return SyncReport(
        *(remote.name, tuple(joined.moves), (), tuple(gone), left, renumbered, tuple(joined.dropped)),
        dropped_here=tuple(joined.dropped_here),
    )


@dataclass
class _Joined:
    """What a pull does to this lab, and what it has found out about the remote."""

    moves: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    contradictions: list[AutoQECError] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)  # names of rounds whose numbers are other rounds' there
    dropped: list[Dropped] = field(default_factory=list)
    dropped_here: dict[str, None] = field(default_factory=dict)  # names of runs and rounds
    hint: str = ""  # what to do about a number that was given to a round that is dropped here


def _join_all(ledger: Ledger, remote: Remote, known: Mapping[str, str], run: str | None, artifacts: bool) -> _Joined:
    """Join every ref of a remote, as just fetched, with ours. `known` is what its tracking refs held before."""
    theirs = list_refs(ledger, remote.tracking)
    every = every_ref(ledger, "refs/")
    marks, mine = Marks.among(every), whole_record(every)
    if len(theirs) > REFS:
        raise TooLargeError(
            f"{remote.name} has {len(theirs):,} refs of rounds; {REFS:,} are allowed, and nothing was pulled",
            hint=f"pull one run at a time: autoqec pull {remote.name} --run RUN",
        )
    live = {ref: oid for ref, oid in mine.items() if not marks.hide(ref)}
    done = _Joined(dropped=_deleted(remote, known, theirs, live, run, artifacts))
    for kind, ref, tracked in _names(theirs, remote.tracking, run, artifacts):
        old, other, before = mine.get(ref), theirs[tracked], known.get(tracked)
        if old == other == before and not marks.hide(ref):
            continue  # joined before, and unchanged on both sides: most refs of a long run
        here = ref
        if marks.hide(ref):  # what is dropped here grows where it is kept
            here = kept_at(ref)
            done.dropped_here[_dropped_name(marks, ref)] = None
        if kind != "notes" and ref.removeprefix(SHARED[kind]) in done.taken:
            continue  # the number belongs to another round here; take nothing of theirs under it
        if kind == "exp":
            place = ref.removeprefix(SHARED["exp"])
            old = mine.get(SHARED["rounds"] + place, old)  # the branch of a round archived here must not come back
            if theirs.get(f"{remote.tracking}rounds/{place}") == other and old in (None, other):
                continue  # it arrives as an archive ref
            if old not in (None, other) and _moved_here(ledger, place, str(old), other):
                continue  # you may move your branch; only a push of it is refused
        done.dropped += dropped_there(ledger, kind, ref, before, old, other)
        try:
            new = join(ledger, kind, ref, old, other, before)
        except AutoQECError as error:
            if isinstance(error, NumberTakenError):
                done.taken.add(ref.removeprefix(SHARED[kind]))
                if here != ref:  # only rounds in the lists can have new numbers
                    done.hint = done.hint or _RESTORE.format(remote.name, _dropped_name(marks, ref))
            done.contradictions.append(error)
            continue
        if new != old:
            done.moves[here] = (old, new)
    return done


def _dropped_name(marks: Marks, ref: str) -> str:
    """The name of what was dropped, of which this is a ref: the run's, if all of it was."""
    run, number = owner_of(ref) or ("", None)
    return run if marks.has(run, None) else f"{run}/{number}"


def _deleted(
    remote: Remote,
    known: Mapping[str, str],
    theirs: Mapping[str, str],
    mine: Mapping[str, str],
    run: str | None,
    artifacts: bool,
) -> list[Dropped]:
    """Return the refs that a remote has deleted. A round's branch may go, once its archive ref has come."""
    gone = []
    for kind, ref, tracked in _names(known, remote.tracking, run, artifacts):
        name = ref.removeprefix(SHARED[kind])
        if tracked not in theirs and not (kind == "exp" and f"{remote.tracking}rounds/{name}" in theirs):
            gone.append(ref)
    return deleted_there(gone, mine)


def _moved_here(ledger: Ledger, place: str, tip: str, theirs: str) -> bool:
    """Tell whether a branch differs from the remote's because it was moved here, while the remote has the round's commit."""
    run, _, number = place.partition("/")
    try:
        return committed(ledger, run, int(number), tip) == theirs
    except AutoQECError:  # a damaged claim is reported elsewhere
        return False


def _names(
    tracked: Mapping[str, str], tracking: str, run: str | None, artifacts: bool
) -> Iterable[tuple[str, str, str]]:
    """Yield kind, local ref and tracking ref of everything to join, in the order of writing."""
    for kind in shared_kinds(artifacts):
        prefix = f"{tracking}{kind}/"
        for ref in sorted(tracked):
            if ref.startswith(prefix):
                name = ref.removeprefix(prefix)
                owner = run_of(kind, name)  # a remote may hold anything; refs with other names are ignored
                if owner is not None and run in (None, owner):
                    yield kind, SHARED[kind] + name, ref
