"""The chain of a run's verifications as it stands in git, with the heads of it that this clone has seen."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from autoqec.errors import AutoQECError
from autoqec.history.rounds.notes import NoteLine, read_lines
from autoqec.history.rounds.seen_heads import keep_heads, seen_heads
from autoqec.history.store.repository import Ledger
from autoqec.results.chain import Chain, chain_of, intents_in


def read_chain(ledger: Ledger, run: str) -> Chain:
    """Return the chain of a run, with the heads that this clone remembers.

    Raises:
        AutoQECError: The notes are damaged.
    """
    return chain_in(ledger, run, (line for lines in read_lines(ledger, run, "verdict").values() for line in lines))


def chain_in(ledger: Ledger, run: str, lines: Iterable[NoteLine]) -> Chain:
    """Return the chain of a run, given all lines of its verdict notes."""
    events: list[tuple[str, object]] = []
    verdicts: list[tuple[str, str]] = []
    for line in lines:
        named = line.record.get("intent")
        if "event" in line.record:
            events.append((line.digest, line.record))
        if isinstance(named, str) and isinstance(line.record.get("verdict"), str):
            verdicts.append((str(line.record.get("id")), named))
    return chain_of(intents_in(events), verdicts, seen_heads(ledger, run))


def remember_heads(ledger: Ledger, run: str) -> None:
    """Keep the heads of a run's chain as seen. A head that is missing now stays remembered."""
    with suppress(AutoQECError):
        chain = read_chain(ledger, run)
        heads = {*chain.heads, *(digest for digest in chain.remembered if digest not in chain.intents)}
        if heads != {*chain.remembered}:
            keep_heads(ledger, run, heads)
