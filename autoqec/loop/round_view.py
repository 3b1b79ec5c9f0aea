"""What a round sees of its run: which other rounds it takes as closed and which as open. All that it reads goes through here.

A round notes this in its claim, in `details["seen"]`, when it claims its number. Rounds that close later stay open to it, without
their results. So the same order of claims and ends gives the same rounds, however fast each of them is, and a later run can
repeat that order. A claim of an earlier version says nothing; its round sees what is closed when it looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from autoqec.errors import NotFoundError
from autoqec.history import Claim, Ledger, RoundRecord, read_claim
from autoqec.history.reading.round_record import claim_of
from autoqec.history.reading.snapshot import take_snapshot, tip
from autoqec.history.rounds.attachments import has_attachment
from autoqec.history.rounds.round_numbers import RoundNumbers
from autoqec.history.rounds.seen_rounds import Seen, seen_by
from autoqec.loop.session import Session

#: The message of the Ideator in a round's trace.
IDEA_FILE = "ideator.json"


@dataclass(frozen=True)
class RoundView:
    """The other rounds of a run, as one round sees them.

    Attributes:
        number: The round that looks.
        closed: The records of rounds that are closed to it, oldest first.
        open: Those of rounds that are open to it and have a hypothesis, oldest first. They have no results and no status but
            `open`; of a round whose hypothesis alone is seen, the record has no commit.
    """

    number: int
    closed: tuple[RoundRecord, ...]
    open: tuple[RoundRecord, ...]


def seen_now(ledger: Ledger, run: str) -> Seen:
    """What a round sees that is claimed now. A damaged claim hides no other round, and its own round is not seen."""
    closed, with_files, ideas = [], [], []
    snapshot = take_snapshot(ledger)
    for number, found in snapshot.runs.get(run, {}).items():
        claim, problems = claim_of(ledger, run, number, found)
        if not _is_open(claim):
            closed += [] if problems else [number]
        elif (claim and claim.commit) or tip(found):
            with_files.append(number)
        elif has_attachment(ledger, "traces", run, number, IDEA_FILE):
            ideas.append(number)
    return Seen(*map(RoundNumbers.of, (closed, with_files, ideas)))


def round_view(session: Session, number: int) -> RoundView:
    """The run as a round sees it. A round that is not claimed yet sees it as it stands.

    Args:
        session: Where.
        number: The round that looks.

    Raises:
        AutoQECError: Its claim is damaged.
    """
    try:
        seen = seen_by(read_claim(session.ledger, session.run.name, number))
    except NotFoundError:
        seen = None
    return view_of(session.records(), number, seen)


def view_of(records: Iterable[RoundRecord], number: int, seen: Seen | None) -> RoundView:
    """The view of a round among the records of its run; see `round_view`."""
    closed: list[RoundRecord] = []
    beside: list[RoundRecord] = []
    for record in records:
        if record.number == number:
            continue
        is_open = _is_open(record.claim)
        if seen is None:
            (beside if is_open else closed).append(record)
        elif record.number in seen.closed and not is_open:
            closed.append(record)
        elif record.number in seen.open:
            beside.append(record)
        elif record.number in seen.ideas:
            beside.append(replace(record, commit=None, identity=None, parents=()))
    return RoundView(number, tuple(closed), tuple(map(_without_results, beside)))


def _is_open(claim: Claim | None) -> bool:
    """Whether somebody may be at work on a round; in a clone without claims, on none."""
    return claim is not None and claim.state == "open"


def _without_results(record: RoundRecord) -> RoundRecord:
    """A record as it was while the round was open: what came out, and how it ended, are not in it."""
    claim = record.claim
    if claim is not None:
        details = {name: value for name, value in claim.details.items() if name != "error"}
        claim = replace(claim, state="open", closed=None, status=None, reason=None, details=details)
    return replace(
        record,
        claim=claim,
        metrics=None,
        analysis=None,
        verdict=None,
        conflict=None,
        standings=(),
        trust=None,
        notices=(),
    )
