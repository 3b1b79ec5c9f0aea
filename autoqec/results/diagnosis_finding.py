"""A finding of a diagnosis: what is wrong with a round or run, the evidence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

FINDING_SCHEMA = "autoqec.diagnosis/1"

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class DiagnosisFinding:
    """One finding; names are those of its JSON object.

    Attributes:
        run, round: What it is about; no round if it is about the run.
        cause: Its code.
        severity: How bad it is.
        evidence: What shows it in the record.
        says: What it means.
        next_step: A command or an edit.
        patch: A change of the candidate that fixes it, as a diff; not applied.
    """

    run: str
    round: int | None
    cause: str
    severity: Severity
    evidence: tuple[str, ...]
    says: str
    next_step: str
    patch: str | None = None

    @property
    def name(self) -> str:
        """What it is about: `run/number`, or the run."""
        return self.run if self.round is None else f"{self.run}/{self.round}"

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return {"schema": FINDING_SCHEMA, **vars(self), "evidence": list(self.evidence)}
