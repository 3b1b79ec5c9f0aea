"""What a remote had once and no longer has, or has in another form: nobody with an honest autoqec removes a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from autoqec.errors import AutoQECError
from autoqec.history.reading.snapshot import take_snapshot
from autoqec.history.rounds.attachments import KINDS as ATTACHED
from autoqec.history.rounds.claims import parse_claim
from autoqec.history.rounds.note_trees import lines_of
from autoqec.history.rounds.notes import NOTES
from autoqec.history.store.json_records import record_id
from autoqec.history.store.objects import get_blob, get_commit, list_files
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.uniting import lacking, versions_before
from autoqec.size_limits import RECORD_BYTES


@dataclass(frozen=True)
class Dropped:
    """Records that a remote dropped or changed. This lab keeps them, and the next push sends them again.

    Attributes:
        ref: The ref that holds them, by its name in this lab.
        round: `run/number` of the round that they are about; only the run if they are about no round of this lab.
        what: `lines` of a note, `files` of an attachment, a `claim`, or a whole `ref`.
        dropped: How many are gone.
        changed: How many are there in another form: a line with the same id, a file with the same name.
    """

    ref: str
    round: str
    what: str
    dropped: int
    changed: int


def dropped_there(
    ledger: Ledger, kind: str, ref: str, known: str | None, mine: str | None, theirs: str
) -> Iterator[Dropped]:
    """Yield what a remote's version of a ref no longer holds.

    Args:
        ledger: The lab.
        kind: The kind of ref, a key of `joining.SHARED`.
        ref: Its full name in this lab.
        known: Its oid on the remote at the last fetch, or None.
        mine: Its oid in this lab, or None.
        theirs: Its oid on the remote now.
    """
    try:
        if kind == "claims":
            if known not in (None, theirs) and _is_closed(ledger, ref, str(known)):
                yield Dropped(ref, _place(ref), "claim", 0, 1)
        elif kind == "notes":
            yield from _lines(ledger, ref, known, mine, theirs)
        elif kind in ATTACHED:
            yield from _files(ledger, kind, ref, known, mine, theirs)
    except AutoQECError:
        return  # the join of this ref reports the damage


def deleted_there(refs: Iterable[str], mine: Mapping[str, str]) -> list[Dropped]:
    """Return the refs that a remote has deleted and this lab still has.

    Args:
        refs: Refs that the remote had at the last fetch and has no longer, by their names in this lab.
        mine: The refs of this lab.
    """
    return [Dropped(ref, _place(ref), "ref", 1, 0) for ref in sorted(refs) if ref in mine]


def _lines(ledger: Ledger, ref: str, known: str | None, mine: str | None, theirs: str) -> Iterator[Dropped]:
    gone: dict[str, dict[bytes, None]] = {}
    for before in versions_before(ledger, known, mine, theirs):
        for commit, lines in lacking(ledger, "notes", before, theirs):
            gone.setdefault(commit, {}).update(dict.fromkeys(lines))
    names = take_snapshot(ledger).names if gone else {}
    for commit, found in gone.items():
        there = {record_id(line) for line in lines_of(ledger, get_commit(ledger, theirs).tree, commit, ref)} - {None}
        changed = sum(record_id(line) in there for line in found)
        yield Dropped(ref, names.get(commit, _place(ref)), "lines", len(found) - changed, changed)


def _files(ledger: Ledger, kind: str, ref: str, known: str | None, mine: str | None, theirs: str) -> Iterator[Dropped]:
    have = list_files(ledger, theirs)
    before = versions_before(ledger, known, mine, theirs)
    gone = {path for version in before for path, _ in lacking(ledger, kind, version, theirs)}
    if gone:
        changed = len(gone & have.keys())
        yield Dropped(ref, _place(ref), "files", len(gone) - changed, changed)


def _is_closed(ledger: Ledger, ref: str, oid: str) -> bool:
    return parse_claim(get_blob(ledger, oid, name=ref, limit=RECORD_BYTES), ref=ref).state == "closed"


def _place(ref: str) -> str:
    """Return the run and number in a ref's name; only the run for notes and runs."""
    if ref.startswith(NOTES):
        return ref.removeprefix(NOTES).partition("/")[0]
    return "/".join(ref.removeprefix("refs/heads/").removeprefix("refs/autoqec/").split("/")[1:])
