"""What a run of one reference decoder on some shots took, and on how many of them it ran behind a gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GateCounts:
    """Shots of a reference behind a gate; see `autoqec.results.reference_gates.GatedReference`.

    Attributes:
        sent: Those that it decoded.
        sampled: Of the others, those that it decoded too, drawn at random.
        differing: Of these, those to which it gives another answer than the plain decoder.
    """

    sent: int
    sampled: int
    differing: int

    def __add__(self, other: GateCounts) -> GateCounts:
        return GateCounts(self.sent + other.sent, self.sampled + other.sampled, self.differing + other.differing)


@dataclass(frozen=True)
class ReferenceRun:
    """A run of a reference decoder.

    Attributes:
        seconds: Wall time.
        gate: Its counts behind a gate; None if it decoded every shot.
    """

    seconds: float
    gate: GateCounts | None = None

    def __add__(self, other: ReferenceRun) -> ReferenceRun:
        both = self.gate + other.gate if self.gate and other.gate else self.gate or other.gate
        return ReferenceRun(self.seconds + other.seconds, both)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        return {"seconds": self.seconds, **(vars(self.gate) if self.gate else {})}

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> ReferenceRun:
        """The inverse of `to_dict`."""
        counts = {name: value for name, value in fields.items() if name != "seconds"}
        return ReferenceRun(fields["seconds"], GateCounts(**counts) if counts else None)


def runs_to_dict(runs: Mapping[str, ReferenceRun]) -> dict[str, dict[str, Any]]:
    """Runs by label, as a JSON-able mapping."""
    return {name: run.to_dict() for name, run in runs.items()}


def runs_from_dict(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, ReferenceRun]:
    """The inverse of `runs_to_dict`."""
    return {name: ReferenceRun.from_dict(run) for name, run in fields.items()}
