"""Shows how far a comparison of decoders is, on standard error from the first second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from autoqec.counted_words import counted
from autoqec.results.decoder_comparison import Comparison
from autoqec.views.phase_display import PhaseDisplay

_COUNTING, _AGAIN = "counting failures", "counting again"


class DecodersDisplay(PhaseDisplay):
    """Use as a context manager, and hand it what is done.

    Args:
        quiet: Show nothing.
        shots, seconds: Limits of the comparison; None for none.
        clock: The time in seconds.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        shots: int | None = None,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(quiet=quiet, clock=clock)
        self.shots, self.seconds = shots, seconds

    def event(
        self, stage: str, detail: str, comparison: Comparison, done: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """Show where a comparison is.

        Args:
            stage: `start`, `time` or `count`.
            detail: The decoder that this is about, or empty.
            comparison: What is counted so far.
            done: Shots beyond these that slow decoders have decoded, by label.
        """
        if stage == "count":
            phase = self.at(_COUNTING, total=self.shots, open_ended=True, seconds_at_most=self.seconds)
            phase.advance(self.clock(), comparison.total, note=_counts(comparison, done))
            self.show(phase)
        elif stage == "time":
            self.at(f"measuring the time of {detail}")
        else:
            decoders = counted(len(comparison.decoders), "decoder")
            self.at(f"compiling {detail}" if detail else f"starting {decoders}")

    def replayed(self, done: int, total: int) -> None:
        """Show how many shots of a saved comparison are counted again."""
        phase = self.at(_AGAIN, total=total)
        phase.advance(self.clock(), done)
        self.show(phase)


def _counts(comparison: Comparison, done: Mapping[str, int]) -> str:
    failures = [rate.failures if (rate := comparison.rate(n)) else 0 for n in range(len(comparison.decoders))]
    undecided = comparison.undecided() if comparison.total else len(list(comparison.pairs()))
    left = f"{counted(undecided, 'pair')} undecided" if undecided else "all pairs decided"
    ahead = "".join(f", {label} +{shots:,}" for label, shots in sorted(done.items())[:2])
    return f"failures {' '.join(f'{n:,}' for n in failures[:8])}, {left}{ahead}"
