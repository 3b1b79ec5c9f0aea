"""Shows how far a check of an environment is, on standard error."""

from __future__ import annotations

from autoqec.views.phase_display import PhaseDisplay


class CheckProgress(PhaseDisplay):
    """Shows what is done; use as a context manager."""

    def shots(self, label: str, done: int, total: int) -> None:
        """How many of how many shots a decoder has decoded."""
        phase = self.at(f"{label}: {total:,} shots", total=total)
        phase.advance(self.clock(), done, total)
        self.show(phase)
