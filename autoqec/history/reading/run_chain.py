"""The chain of a run's verifications as it stands in git: of the records that count, with the heads that this clone has seen."""

from __future__ import annotations

from contextlib import suppress

from autoqec.errors import AutoQECError
from autoqec.history.reading.history_reader import run_trust
from autoqec.history.rounds.note_trees import changed_notes
from autoqec.history.rounds.notes import NOTES, lines_at
from autoqec.history.rounds.seen_heads import keep_heads, seen_heads
from autoqec.history.store.objects import get_commit
from autoqec.history.store.repository import Ledger
from autoqec.results.chain import Chain, intents_in
from autoqec.results.note_lines import Line


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


def remember_new_heads(ledger: Ledger, run: str, before: str | None, after: str) -> None:
    """Keep as seen what a pull brought to a run's chain, from the notes that it changed and no others.

    An intent that comes after one that names it stays remembered as a head until `remember_heads`: it is there, so nothing seems
    to be missing.

    Args:
        ledger: The lab.
        run: The run.
        before: The commit of its verdict notes before the pull; None if there was none.
        after: The one since.
    """
    if before is None:
        remember_heads(ledger, run)
        return
    with suppress(AutoQECError):
        changed = [*changed_notes(ledger, get_commit(ledger, before).tree, get_commit(ledger, after).tree)]
        found = lines_at(ledger, f"{NOTES}{run}/verdict", after, [], changed, whole=True)
        trust = run_trust(ledger, run)
        events = [
            event
            for commit, lines in found.items()
            for event in trust.events(commit, [Line(line.digest, line.record) for line in lines])
        ]
        trust.examined.save()
        intents, seen = intents_in((event.digest, event.record) for event in events), {*seen_heads(ledger, run)}
        heads = (seen | intents.keys()) - {earlier for intent in intents.values() for earlier in intent.chain or ()}
        if heads != seen:
            keep_heads(ledger, run, heads)
