"""Takes a run or a round that was a mistake out of the lists, and brings it back. Nothing is deleted.

Its refs move to `refs/autoqec/dropped/`, which no push sends and no pull writes marks into: what to drop is each lab's own
decision. Its notes stay where they are, so that its verifications, its looks at a recording and its agents' calls stay spent, and
its number stays taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.reading.open_rounds import OpenState, open_state
from autoqec.history.reading.snapshot import take_snapshot, tip
from autoqec.history.rounds.claims import CLAIMS, parse_claim
from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES, find_round
from autoqec.history.rounds.run_refs import load_run
from autoqec.history.store.dropped_refs import DROPPED, MARKS, Marks, kept_at, live_name, mark_of, owner_of
from autoqec.history.store.json_records import decode_record, encode_record, refuse_newer, utc_now
from autoqec.history.store.objects import get_blob, get_commit, persist
from autoqec.history.store.ref_moves import Moves, move_at_once
from autoqec.history.store.refs import compare_and_swap, every_ref, explain_write, write_lock
from autoqec.history.store.repository import Ledger, require_writable
from autoqec.history.sync.archived_branches import checked_out
from autoqec.size_limits import RECORD_BYTES

_VERSION = 1
_ROOTS = ("refs/heads/exp/", "refs/autoqec/")


@dataclass(frozen=True)
class DroppedRounds:
    """A run or a round that was dropped.

    Attributes:
        run: The run.
        number: The round; None for the whole run.
        time: When, UTC; empty if its mark is damaged.
        message: Why, in the user's words; may be empty.
        rounds: The numbers of the rounds that left the lists with it.
    """

    run: str
    number: int | None
    time: str
    message: str
    rounds: tuple[int, ...]

    @property
    def name(self) -> str:
        """`run`, or `run/number`."""
        return self.run if self.number is None else f"{self.run}/{self.number}"


def drop(ledger: Ledger, run: str, number: int | None = None, message: str = "") -> DroppedRounds:
    """Take a run, or one of its rounds, out of the lists. After a kill, doing it again finishes it.

    Args:
        ledger: The lab.
        run: The run.
        number: The round; None for the whole run.
        message: Why, for people.

    Raises:
        NotFoundError: There is no such run or round, or it is dropped already.
        AutoQECError: A round is open, its branch is checked out, or a ref is not writable; nothing was dropped.
    """
    require_writable(ledger)
    with write_lock(ledger):
        every = every_ref(ledger, *_ROOTS)
        mark = mark_of(run, number)
        live = _refs_of(every, run, number)
        if mark not in every:
            _require_here(ledger, run, number)
            _refuse(ledger, every, run, live)
            record = {"v": _VERSION, "run": run, "number": number, "dropped": utc_now(), "message": message}
            data = encode_record(record, name=mark) + b"\n"
            with explain_write(mark):
                blob = persist(lambda: ledger.repo.create_blob(data))
            if not compare_and_swap(ledger, mark, None, blob, f"autoqec: drop {run}"):
                raise AutoQECError(f"another tool has just written {mark}", hint="autoqec log --dropped")
        elif not live:
            _require_here(ledger, run, number)  # raises an error that says so
        _put_away(ledger, every, live)
        found = every_ref(ledger, *_ROOTS)
    return _described(ledger, found, run, number)


def restore(ledger: Ledger, run: str, number: int | None = None) -> DroppedRounds:
    """Bring a dropped run or round back. After a kill, doing it again finishes it.

    A round that was dropped by itself before its run stays dropped.

    Raises:
        NotFoundError: It is not dropped, or was dropped with its run.
        AutoQECError: A ref of its name holds something else now, or is not writable; it stays dropped.
    """
    require_writable(ledger)
    with write_lock(ledger):
        every = every_ref(ledger, *_ROOTS)
        marks, mark = Marks.among(every), mark_of(run, number)
        if mark not in every:
            name = run if number is None else f"{run}/{number}"
            if number is not None and marks.has(run, None):
                raise NotFoundError(f"{name} was dropped with its run", hint=f"autoqec drop --restore {run}")
            raise NotFoundError(f"{name} is not dropped", hint="autoqec log --dropped lists what is")
        described = _described(ledger, every, run, number)
        others = Marks(marks.names - {(run, number)})
        moves: dict[str, tuple[str | None, str | None]] = {}
        for kept, oid in every.items():
            ref = live_name(kept)
            if ref is None or not _is_of(ref, run, number) or others.hide(ref):
                continue
            if every.get(ref, oid) != oid:
                raise AutoQECError(f"{ref} exists again and holds something else than {kept}", hint="autoqec fsck")
            moves[kept] = (oid, None)
            moves[ref] = (every.get(ref), oid)
        _move(ledger, moves, f"restore {described.name}")
        if not compare_and_swap(ledger, mark, every[mark], None, f"autoqec: restore {described.name}"):
            raise AutoQECError(f"another tool has just moved {mark}", hint="autoqec log --dropped")
    return described


def list_dropped(ledger: Ledger) -> list[DroppedRounds]:
    """Return what is dropped, by run and number; a whole run before its rounds.

    Raises:
        AutoQECError: The refs are not readable.
    """
    if not every_ref(ledger, MARKS):
        return []
    every = every_ref(ledger, *_ROOTS)
    names = sorted(Marks.among(every).names, key=lambda name: (name[0], name[1] or 0))
    return [_described(ledger, every, run, number) for run, number in names]


def half_dropped(ledger: Ledger) -> dict[tuple[str, int | None], list[str]]:
    """Return refs that a kill kept `drop` or `restore` from moving, by what was being dropped. Readers pass them over."""
    every = every_ref(ledger, *_ROOTS)
    names = Marks.among(every).names
    found = {name: sorted(_refs_of(every, *name)) for name in names}
    return {name: refs for name, refs in found.items() if refs}


def finish_drops(ledger: Ledger) -> list[str]:
    """Move refs that a kill kept `drop` or `restore` from moving; return the names of what was being dropped.

    Raises:
        AutoQECError: A ref is not writable.
    """
    with write_lock(ledger):
        return [drop(ledger, run, number).name for run, number in sorted(half_dropped(ledger), key=str)]


def children_of(ledger: Ledger, dropped: DroppedRounds) -> dict[str, list[str]]:
    """Return the rounds in the lists that start from rounds that were just dropped.

    Returns:
        The names of their dropped parents, by the name of the child.
    """
    every = every_ref(ledger, *_ROOTS)
    commits = {}
    for number in dropped.rounds:
        for place in (BRANCHES, ARCHIVE):
            if (oid := every.get(kept_at(f"{place}{dropped.run}/{number}"))) is not None:
                commits[oid] = f"{dropped.run}/{number}"
    found: dict[str, list[str]] = {}
    for run, rounds in sorted(take_snapshot(ledger).runs.items()):
        for number, refs in sorted(rounds.items()):
            held = tip(refs)
            parents = _parents(ledger, held) if held is not None else []
            if named := [commits[oid] for oid in parents if oid in commits]:
                found[f"{run}/{number}"] = named
    return found


def _parents(ledger: Ledger, commit: str) -> list[str]:
    try:
        return [str(oid) for oid in get_commit(ledger, commit).parent_ids]
    except AutoQECError:  # damaged; fsck says so
        return []


def _is_of(ref: str, run: str, number: int | None) -> bool:
    owner = owner_of(ref)
    return owner is not None and owner[0] == run and number in (None, owner[1])


def _refs_of(every: Mapping[str, str], run: str, number: int | None) -> dict[str, str]:
    """The live refs of a run with its rounds, or of a round."""
    return {ref: oid for ref, oid in every.items() if _is_of(ref, run, number)}


def _require_here(ledger: Ledger, run: str, number: int | None) -> None:
    if number is None:
        if run not in take_snapshot(ledger).runs:  # a run of which only rounds are here can be dropped too
            load_run(ledger, run)  # raises an error that says what there is
    elif number not in take_snapshot(ledger).runs.get(run, {}):
        find_round(ledger, run, number)  # as above


def _refuse(ledger: Ledger, every: Mapping[str, str], run: str, live: Mapping[str, str]) -> None:
    standing = checked_out(ledger)
    for ref, oid in sorted(live.items()):
        name = ref.removeprefix(CLAIMS)
        state = _open_state(ledger, ref, oid) if ref.startswith(CLAIMS) else None
        if state is not None:
            raise AutoQECError(
                f"round {name} is not closed yet, so nothing was dropped",
                hint=_HINTS[state].format(run=run, name=name),
            )
        if ref in standing:
            branch = ref.removeprefix("refs/heads/")
            raise AutoQECError(f"{branch} is checked out, so nothing was dropped", hint="git switch <another branch>")
    for ref, oid in live.items():
        if every.get(kept_at(ref), oid) != oid:
            raise AutoQECError(f"{kept_at(ref)} exists and holds something else than {ref}", hint="autoqec fsck")


#: What ends an open round, by what it does.
_HINTS: dict[OpenState, str] = {
    "running": "it is at work: wait; autoqec status shows how far it is",
    "elsewhere": "another machine works on it: wait; autoqec resume --force {run} takes it over if that machine is gone",
    "waiting": "it waits for a reply: autoqec status shows for which; autoqec resume --abandon {name} ends it",
    "interrupted": "autoqec resume {run} finishes it; autoqec resume --abandon {name} ends it",
}


def _open_state(ledger: Ledger, ref: str, oid: str) -> OpenState | None:
    try:
        claim = parse_claim(get_blob(ledger, oid, name=ref, limit=RECORD_BYTES), ref=ref)
    except AutoQECError:  # a damaged round is a good reason to drop it
        return None
    return open_state(claim) if claim.state == "open" else None


def _put_away(ledger: Ledger, every: Mapping[str, str], live: Mapping[str, str]) -> None:
    moves: dict[str, tuple[str | None, str | None]] = {}
    for ref, oid in live.items():
        moves[kept_at(ref)] = (every.get(kept_at(ref)), oid)
        moves[ref] = (oid, None)
    _move(ledger, moves, "drop")


def _move(ledger: Ledger, moves: Moves, why: str) -> None:
    moves = {ref: (old, new) for ref, (old, new) in moves.items() if old != new}
    if not move_at_once(ledger, moves, why):
        raise AutoQECError(
            "git cannot move its refs now", hint="run the command again; autoqec fsck says what is wrong"
        )


def _described(ledger: Ledger, every: Mapping[str, str], run: str, number: int | None) -> DroppedRounds:
    mark = mark_of(run, number)
    record = {}
    if mark in every:
        try:
            record = decode_record(get_blob(ledger, every[mark], name=mark, limit=RECORD_BYTES), name=mark)
            refuse_newer(record.get("v"), _VERSION, name=mark)
        except AutoQECError:
            record = {}
    alone = {n for r, n in Marks.among(every).names if r == run and n is not None} if number is None else set()
    names = [live_name(ref) if ref.startswith(DROPPED) else ref for ref in every if not ref.startswith(MARKS)]
    owners = [owner_of(ref) for ref in names if ref is not None and _is_of(ref, run, number)]
    numbers = {owner[1] for owner in owners if owner is not None and owner[1] is not None} - alone
    return DroppedRounds(
        run, number, str(record.get("dropped", "")), str(record.get("message", "")), tuple(sorted(numbers))
    )
