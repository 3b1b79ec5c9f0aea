"""Looks at a recording: the verifications of all runs of a lab that began on one finite holdout."""

from __future__ import annotations

from autoqec.history.reading.run_chain import read_chain
from autoqec.history.rounds.notes import NOTES
from autoqec.history.store.refs import list_refs
from autoqec.history.store.repository import Ledger
from autoqec.results.verification_events import Begun

_VERDICTS = "/verdict"


def looks_at(ledger: Ledger, recording: str, *, unsigned_too: bool = False) -> dict[str, Begun]:
    """Return the intents that name a recording, by digest, of whatever run. A copied line is still one intent.

    Args:
        ledger: The lab.
        recording: Digest of what was recorded.
        unsigned_too: Whether unsigned intents count though the user asks for signatures.

    Raises:
        AutoQECError: A note cannot be read. Without its intents the next look would have too high a level.
    """
    found: dict[str, Begun] = {}
    for ref in list_refs(ledger, NOTES):
        name = ref.removeprefix(NOTES)
        if name.endswith(_VERDICTS):
            intents = read_chain(ledger, name.removesuffix(_VERDICTS), unsigned_too=unsigned_too).intents
            found |= {digest: begun for digest, begun in intents.items() if begun.recording == recording}
    return found
