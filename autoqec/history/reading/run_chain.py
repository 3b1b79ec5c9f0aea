"""The chain of a run's verifications as it stands in git: of the records that count, with the heads that this clone has seen."""

from __future__ import annotations

from contextlib import suppress

from autoqec.errors import AutoQECError
from autoqec.history.reading.history_reader import run_trust
from autoqec.history.rounds.seen_heads import keep_heads
from autoqec.history.store.repository import Ledger
from autoqec.results.chain import Chain


def read_chain(ledger: Ledger, run: str, *, unsigned_too: bool = False) -> Chain:
    """Return the chain of a run, with the heads that this clone remembers.

    Args:
        ledger: The lab.
        run: The run.
        unsigned_too: Whether unsigned intents count though the user asks for signatures.

    Raises:
        AutoQECError: A note cannot be read. Without its intents the run's next verification would have too high a level.
    """
    trust = run_trust(ledger, run, unsigned_too=unsigned_too)
    chain = trust.chain
    trust.examined.save()
    return chain


def remember_heads(ledger: Ledger, run: str) -> None:
    """Keep the heads of a run's chain as seen. A head that is missing now stays remembered."""
    with suppress(AutoQECError):
        chain = read_chain(ledger, run)
        heads = {*chain.heads, *(digest for digest in chain.remembered if digest not in chain.intents)}
        if heads != {*chain.remembered}:
            keep_heads(ledger, run, heads)
