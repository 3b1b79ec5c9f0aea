"""What came of counting a comparison of decoders again, on the same shots: whether all is the same, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoqec.results.decoder_comparison import Comparison


@dataclass(frozen=True)
class Differs:
    """Where a replay differs from the saved comparison, for one decoder.

    Attributes:
        first: The first shot of the part in which it differs.
        failures, saved: Its failures in that part, and those saved.
        why: In words.
    """

    first: int
    failures: int | None
    saved: int
    why: str


@dataclass(frozen=True)
class Replay:
    """A comparison that was counted again on the same shots.

    Attributes:
        saved: What was saved.
        shots: How many shots were drawn again.
        other_shots: The first shot of the first part whose shots are others; None if they are all the same.
        differing: Decoders whose answers differ, by label.
        versions: Versions that differ, by package: there and here.
        settings: What decoders are that differs, by label, in words.
    """

    saved: Comparison
    shots: int
    other_shots: int | None
    differing: Mapping[str, Differs]
    versions: Mapping[str, tuple[str, str]]
    settings: Mapping[str, str]

    @property
    def same(self) -> bool:
        """Whether all shots and all answers came out the same."""
        return self.other_shots is None and not self.differing
