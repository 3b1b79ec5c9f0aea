"""Paired counts: how often baseline and candidate fail on the same shots. Counts of several batches add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PairedCounts:
    """How two decoders did on the same shots.

    Attributes:
        shots: All shots.
        both: Shots on which both failed.
        baseline_only: Shots on which only the baseline failed.
        candidate_only: Shots on which only the candidate failed.
    """

    shots: int = 0
    both: int = 0
    baseline_only: int = 0
    candidate_only: int = 0

    def __post_init__(self) -> None:
        parts = (self.both, self.baseline_only, self.candidate_only)
        if min(parts) < 0 or sum(parts) > self.shots:
            raise ValueError(f"impossible counts: {self}")

    def __add__(self, other: PairedCounts) -> PairedCounts:
        return PairedCounts(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))

    @property
    def baseline_failures(self) -> int:
        """Shots on which the baseline failed."""
        return self.both + self.baseline_only

    @property
    def candidate_failures(self) -> int:
        """Shots on which the candidate failed."""
        return self.both + self.candidate_only

    @property
    def fewer_failures(self) -> int:
        """Failures of the baseline minus failures of the candidate."""
        return self.baseline_only - self.candidate_only

    @property
    def ler_baseline(self) -> float:
        """Logical error rate per shot of the baseline."""
        return (self.both + self.baseline_only) / self.shots

    @property
    def ler_candidate(self) -> float:
        """Logical error rate per shot of the candidate."""
        return (self.both + self.candidate_only) / self.shots

    @property
    def delta_ler(self) -> float:
        """`ler_baseline - ler_candidate`; positive when the candidate is better."""
        return (self.baseline_only - self.candidate_only) / self.shots

    @property
    def ler_ratio(self) -> float | None:
        """`ler_candidate / ler_baseline`; None when the baseline never failed."""
        failures = self.both + self.baseline_only
        return (self.both + self.candidate_only) / failures if failures else None

    def to_dict(self) -> dict[str, int]:
        """As a JSON-able mapping."""
        return asdict(self)

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> PairedCounts:
        """The inverse of `to_dict`."""
        return PairedCounts(
            **{name: int(fields[name]) for name in ("shots", "both", "baseline_only", "candidate_only")}
        )
