"""Lines of notes as readers get them: a record, and the digest of the bytes that it is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """A line of a note.

    Attributes:
        digest: SHA-256 (hex) of its stored bytes without the line feed.
        record: The JSON object that it holds.
    """

    digest: str
    record: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its identifier; empty if it has none."""
        found = self.record.get("id")
        return found if isinstance(found, str) else ""

    @property
    def event(self) -> str | None:
        """The event that it marks; None for a result."""
        if "event" not in self.record:
            return None
        found = self.record["event"]
        return found if isinstance(found, str) else ""
