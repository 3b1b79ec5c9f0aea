"""Notes on the start of a verification: what is judged, its number, and the notes that came before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.results.note_form import Malformed, read_record, write_record
from autoqec.results.statistics import attempt_share

BEGUN = "begun"


@dataclass(frozen=True)
class Begun:
    """The start of a verification: the intent that is noted before the holdout's key is drawn.

    Attributes:
        attempt: Its number within the run, from 1.
        id: The note's identifier; random, and no relation of the verdict's.
        event: `begun`.
        share: The share of the run's error budget that it spends, for readers; nothing is decided by it.
        verifier: The verifier's name.
        run, round, commit: The round.
        environment: Identity of the run's environment.
        candidate, weights_sha256: Hashes of what is judged.
        metrics: The metrics note that counts at this time.
        chain: Digests of the notes on earlier starts that no other one names yet: the heads of the run's chain. None in
            notes of earlier versions, which have no chain.
        look, recording: For a finite holdout, the number of this look at the recording, and the recording's digest.
    """

    attempt: int
    id: str = ""
    event: str = BEGUN
    share: float = 0.0
    verifier: str = ""
    run: str = ""
    round: int = 0
    commit: str = ""
    environment: str = ""
    candidate: str = ""
    weights_sha256: str = ""
    metrics: str | None = None
    chain: tuple[str, ...] | None = None
    look: int | None = None
    recording: str | None = None

    @property
    def spends(self) -> float:
        """The share of the run's error budget that a verification of this number spends, whatever its note says."""
        return attempt_share(self.attempt)

    def to_note(self) -> dict[str, Any]:
        """As a note holds it."""
        return write_record(self) | {"event": self.event}


def parse_begun(note: Any) -> Begun | None:
    """The event in a note; None if it is another kind of note, or malformed."""
    if not isinstance(note, Mapping) or note.get("event") != BEGUN:
        return None
    try:
        begun = read_record(Begun, note)
    except Malformed:
        return None
    return begun if begun.attempt >= 1 else None
