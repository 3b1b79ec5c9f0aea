"""Notes on the start of a verification: its number, and the share of the error budget that it spends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.results.note_form import Malformed, read_record, write_record
from autoqec.results.statistics import attempt_share
from autoqec.results.verdict import parse_verdict

BEGUN = "begun"


@dataclass(frozen=True)
class Begun:
    """The start of a verification.

    Attributes:
        attempt: Its number within the run.
        id: The note's identifier.
        event: `begun`.
        share: The share of the run's error budget that it spends.
        verifier: The verifier's name.
    """

    attempt: int
    id: str = ""
    event: str = BEGUN
    share: float = 0.0
    verifier: str = ""

    @staticmethod
    def now(attempt: int, identity: str, verifier: str) -> Begun:
        """The note of a verification that begins."""
        return Begun(attempt, f"{identity}-begun", BEGUN, attempt_share(attempt), verifier)

    def to_note(self) -> dict[str, Any]:
        """As a note holds it."""
        return write_record(self) | {"event": self.event}


def parse_begun(note: Any) -> Begun | None:
    """The event in a note; None if it is another kind of note, or malformed."""
    if not isinstance(note, Mapping) or note.get("event") != BEGUN:
        return None
    try:
        return read_record(Begun, note)
    except Malformed:
        return None


def verified_commits(notes: Iterable[Any]) -> set[str]:
    """The commits with a VERIFIED verdict among some notes."""
    verdicts = (parse_verdict(note).record for note in notes if "event" not in note)
    return {verdict.evidence.commit for verdict in verdicts if verdict is not None and verdict.verified}
