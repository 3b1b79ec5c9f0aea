"""Sharing a lab: `pull` takes up what another repository has, `push` gives it what is here. Neither ever takes away.

A pull copies the other side's refs under `refs/autoqec-remote/<remote>/`, then joins each with ours. A push does the same
first, so that what it sends is a superset of what is there, and needs no force. Whoever comes second joins and tries again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.joining import SHARED, join, run_of, shared_kinds
from autoqec.history.network import LostRaceError, Remote, bundle_remotes, fetch, find_remote, pause, push_refs, run_git
from autoqec.history.outgoing import leases, outgoing, refspecs
from autoqec.history.refs import compare_and_swap, list_refs, target, write_lock
from autoqec.history.repository import Ledger
from autoqec.history.runs import RUNS, check_run_name

_TRIES = 6
_MANY = 500  # refs; from so many on git had better pack them


@dataclass(frozen=True)
class SyncReport:
    """What a push or pull moved.

    Attributes:
        remote: The other repository, as it was named.
        received: Refs that are here now, or hold more, because of what it had.
        sent: Refs that it has now, or that hold more there, because of what is here.
    """

    remote: str
    received: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()


def pull(ledger: Ledger, remote: str = "origin", run: str | None = None, artifacts: bool = False) -> SyncReport:
    """Take up the rounds, notes, claims, attempts, traces and runs of another repository.

    What can be joined is joined, also where something else contradicts what is here.

    Args:
        ledger: The lab.
        remote: A configured remote's name, a URL, or the path of a repository or bundle.
        run: Only this run.
        artifacts: Trained weights too.

    Raises:
        NotFoundError: There is no such remote, or no such run on it.
        AutoQECError: It cannot be reached, or holds something other than we do under the same name; ours was kept.
    """
    there = find_remote(ledger, remote)
    report = _pull(ledger, there, run, artifacts)
    if run is not None and not list_refs(ledger, f"{RUNS}{run}"):
        raise NotFoundError(f"{remote} has no run {run!r}", mend=f"autoqec pull {remote}")
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
        raise NotFoundError(f"there is no run {run!r} to push", mend="autoqec log")
    received: dict[str, None] = {}
    lost = ""
    for attempt in range(_TRIES):
        received |= dict.fromkeys(_pull(ledger, there, run, artifacts).received)
        todo = outgoing(ledger, there, run, artifacts)
        try:
            push_refs(ledger, there, refspecs(ledger, todo), leases(todo))
        except LostRaceError as error:
            lost = error.problem
            pause(attempt)
            continue
        remember(ledger, there, {ref: oid for ref, oid, _ in todo})
        return SyncReport(remote, tuple(received), tuple(ref for ref, _, _ in todo))
    raise AutoQECError(f"{lost}, at each of {_TRIES} tries", mend="autoqec push, in a while")


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


def remember(ledger: Ledger, remote: Remote, refs: Mapping[str, str]) -> None:
    """Note what a remote's refs hold after a push; the next fetch would find the same."""
    moves = {}
    for ref, oid in refs.items():
        kind = next(kind for kind, prefix in SHARED.items() if ref.startswith(prefix))
        moves[f"{remote.tracking}{kind}/{ref.removeprefix(SHARED[kind])}"] = oid
    with write_lock(ledger):
        have = list_refs(ledger, remote.tracking)
        _move(ledger, {ref: (have.get(ref), oid) for ref, oid in moves.items() if have.get(ref) != oid}, "push")


def _pull(ledger: Ledger, remote: Remote, run: str | None, artifacts: bool) -> SyncReport:
    known = list_refs(ledger, remote.tracking)
    fetch_kinds(ledger, remote, run, shared_kinds(artifacts))
    contradictions: list[AutoQECError] = []
    with write_lock(ledger):
        theirs = list_refs(ledger, remote.tracking)
        mine = list_refs(ledger, "refs/")
        moves: dict[str, tuple[str | None, str]] = {}
        for kind, ref, tracked in _names(theirs, remote.tracking, run, artifacts):
            archived = mine.get(ref.replace(SHARED["exp"], SHARED["rounds"], 1)) if kind == "exp" else None
            old = archived or mine.get(ref)  # what was archived here has not gone, and is not to come back
            try:
                new = join(ledger, kind, ref, old, theirs[tracked], known.get(tracked))
            except AutoQECError as error:
                contradictions.append(error)
                continue
            if new != old:
                moves[ref] = (old, new)
        _move(ledger, moves, f"pull from {remote.name}")
    if len(moves) >= _MANY:
        run_git(ledger, "pack-refs", "--all")
    if contradictions:
        more = f" (and {len(contradictions) - 1} more)" if len(contradictions) > 1 else ""
        raise AutoQECError(
            f"{remote.name} contradicts this lab: {contradictions[0].problem}{more}",
            mend="what is here was kept, all else was taken up; clones that share a run should claim its rounds on the "
            "remote: autoqec round --remote NAME",
        )
    return SyncReport(remote.name, received=tuple(moves))


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


def _move(ledger: Ledger, moves: Mapping[str, tuple[str | None, str]], why: str) -> None:
    """Move refs at once if git will, else one by one, which is slower and says which of them is in whose way."""
    lines = [f"update {ref} {new} {old or '0' * 40}\n" for ref, (old, new) in moves.items()]
    if (
        not lines
        or run_git(ledger, "update-ref", "-m", f"autoqec: {why}", "--stdin", stdin="".join(lines)).returncode == 0
    ):
        return
    for ref, (old, new) in moves.items():
        if target(ledger, ref) != new and not compare_and_swap(ledger, ref, old, new, f"autoqec: {why}"):
            raise AutoQECError(f"another tool keeps moving {ref}", mend="autoqec pull, once more")
