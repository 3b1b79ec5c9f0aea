"""Rungs of a round's training: a cheap screen after a small share of the shots, and the rest if that does not stop it.

At the screen, the candidate and the best round that costs no more decode the same development shots. Only the shots on which
exactly one of the two fails decide (discordant shots). The candidate has most of its training before it, so it may fail more of
them than its rival: it is screened out only where an exact binomial test rejects that it fails at most `ALLOWED` of them. Their
number is fixed in advance, and nobody looks before all are decoded. The word follows from the counts in the note.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from autoqec.results.counts import PairedCounts

#: The status of a round that its screen ended, and of all rounds that did what they had to.
SCREENED_OUT = "screened_out"
COMPLETE = ("ok", SCREENED_OUT)

#: The name of a round. A rival's is printed and quoted to agents.
_RIVAL = re.compile("[a-z0-9][a-z0-9-]{0,39}/[1-9][0-9]{0,8}")

#: The share of the discordant shots that a candidate may fail at its screen, and the level of the test.
ALLOWED, LEVEL = 0.6, 0.05


@dataclass(frozen=True)
class Rung:
    """How far a round's training went, and why.

    Attributes:
        number: 0 if it ended at its screen, 1 if it was trained to its end.
        shots: Training shots drawn up to the screen.
        planned: Training shots planned for the whole training.
        rival: The round that the screen compared with, `run/number`; empty where no round costs as little.
        rival_commit: Its commit.
        counts: The screen's shots, with the rival in the baseline's place; None without a rival.
        alone: Whether the round ends at its screen in any case, as its hypothesis asked.
    """

    number: int
    shots: int
    planned: int
    rival: str = ""
    rival_commit: str = ""
    counts: PairedCounts | None = None
    alone: bool = False

    @property
    def out(self) -> bool:
        """Whether the round ended here."""
        return self.number == 0

    @property
    def by_request(self) -> bool:
        """Whether the round ended here only because its hypothesis asked for the screen alone: it is not clearly worse."""
        return self.out and not (self.counts is not None and is_worse(self.counts))

    @property
    def follows(self) -> bool:
        """Whether the rung follows from its own counts, and they are those of a rival. Anyone who can push can write a note."""
        return (
            self.number == rung_after(self.counts, alone=self.alone)
            and min(self.shots, self.planned) >= 0
            and all(bool(told) == (self.counts is not None) for told in (self.rival, self.rival_commit))
            and (self.counts is None or _RIVAL.fullmatch(self.rival) is not None)
        )

    def in_words(self) -> str:
        """In a sentence without a full stop."""
        said = f"{'screened out' if self.out else 'kept'} after {self.shots:,} of {self.planned:,} training shots"
        if self.counts is None:
            why = "its hypothesis asked for the screen alone" if self.out else ""
            return f"{said}: {why or 'no earlier round to compare it with costs as little'}"
        alone = "; its hypothesis asked for the screen alone" if self.by_request else ""
        return (
            f"{said}: of {self.counts.shots:,} shots it fails {self.counts.candidate_only:,} that {self.rival} decodes,"
            f" and decodes {self.counts.baseline_only:,} that {self.rival} fails{alone}"
        )


def rung_after(counts: PairedCounts | None, *, alone: bool = False) -> int:
    """The rung that a screen leads to: 0 ends the round, 1 trains to the end.

    Args:
        counts: The screen's shots, with the rival in the baseline's place; None without a rival.
        alone: Whether the round ends at its screen in any case.
    """
    return 0 if alone or (counts is not None and is_worse(counts)) else 1


def is_worse(counts: PairedCounts) -> bool:
    """Whether the candidate surely fails more than `ALLOWED` of the discordant shots."""
    discordant = counts.baseline_only + counts.candidate_only
    if counts.candidate_only <= ALLOWED * discordant:
        return False
    from scipy.special import bdtrc

    return float(bdtrc(counts.candidate_only - 1, discordant, ALLOWED)) <= LEVEL
