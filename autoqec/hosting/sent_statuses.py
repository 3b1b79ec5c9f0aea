"""Sends the statuses of a lab's rounds to a host: those that the host does not have yet, as far as this clone knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from autoqec.history import Ledger, read_cache, write_cache
from autoqec.hosting.host_contract import CommitStatus, Host, HostError
from autoqec.hosting.host_places import Place
from autoqec.hosting.verdict_words import status_of
from autoqec.reporting.recorded_lab import RecordedRound

_KIND = "statuses"


@dataclass(frozen=True)
class SentStatuses:
    """What became of the statuses.

    Attributes:
        new: How many were sent now.
        known: How many had been sent before.
        left: How many are left, because the host refused one.
        error: Why; None if all were sent.
    """

    new: int = 0
    known: int = 0
    left: int = 0
    error: HostError | None = None


def send_statuses(
    ledger: Ledger, host: Host, place: Place, rounds: Iterable[RecordedRound], report: Callable[[str], object]
) -> SentStatuses:
    """Set the status of each round's commit that has a verdict, unless it was sent before. Ends at the first refusal.

    Args:
        ledger: The lab. What was sent is remembered in its cache, which may be deleted: then all are sent again.
        host: Where to.
        place: Which repository, for that memory.
        rounds: The rounds.
        report: Called with the name of each round whose status was sent.
    """
    waiting = [(each, status) for each in rounds if each.row.commit and (status := status_of(each.row)) is not None]
    fresh = [(each, status) for each, status in waiting if _memory(ledger, place, each) != _text(status)]
    for done, (each, status) in enumerate(fresh):
        try:
            host.set_status(str(each.row.commit), status)
        except HostError as error:
            return SentStatuses(done, len(waiting) - len(fresh), len(fresh) - done, error)
        write_cache(ledger, _key(place, each), _text(status), _KIND)
        report(each.name)
    return SentStatuses(len(fresh), len(waiting) - len(fresh))


def _memory(ledger: Ledger, place: Place, found: RecordedRound) -> bytes | None:
    return read_cache(ledger, _key(place, found), _KIND)


def _key(place: Place, found: RecordedRound) -> str:
    return hashlib.sha256(f"{place.server}\n{place.repository}\n{found.row.commit}".encode()).hexdigest()


def _text(status: CommitStatus) -> bytes:
    return f"{status.state}\n{status.context}\n{status.description}".encode()
