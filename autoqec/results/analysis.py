"""The typed record of an Analyst's note on a round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autoqec.results.verdict import Parsed, malformed

Decision = Literal["candidate", "ignore"]


@dataclass(frozen=True)
class Analysis:
    """What an Analyst said of a round.

    Attributes:
        decision: Whether the round is worth a verification.
        summary: What the Analyst saw, in a sentence.
        next_seed: An idea for the next Ideator.
        note: The complete JSON of the note.
    """

    decision: Decision
    summary: str
    next_seed: str = ""
    note: Mapping[str, Any] = field(default_factory=dict)

    def to_note(self) -> dict[str, Any]:
        """As a note holds it."""
        return dict(self.note)


def parse_analysis(note: Any) -> Parsed[Analysis]:
    """Parse an analysis from any JSON."""
    if note is None:
        return Parsed()
    told = note if isinstance(note, Mapping) else {}
    decision, summary, next_seed = (told.get(name) for name in ("decision", "summary", "next_seed"))
    if decision not in ("candidate", "ignore") or not isinstance(summary, str):
        return Parsed(problem=malformed("analysis", note))
    return Parsed(Analysis(decision, summary, next_seed if isinstance(next_seed, str) else "", told))
