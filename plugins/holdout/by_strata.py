"""Shots of a cell by strata: which strata it has, how the next shots are shared among them, and the counts of those so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.results.strata_parts import ByStrata, StrataSample
from autoqec.results.stratified_counts import DrawnStrata, StratifiedCounts, shares_for
from autoqec.scoring.fault_tasks import STRATA
from autoqec.scoring.score_stream import Scored, ScoreStream, StrataDraw
from autoqec.scoring.strata_tally import together

#: All sets of two faults are listed where the list takes at most this part of a cell's shots; half of its chunks are drawn shots.
LISTED_PART = 1 / 4

#: The shares are decided again when there are so many times the shots of the last time.
AGAIN_AT = 4

#: Plain shots that costs are means over: a shot by strata is harder, and costs more.
COST_SHOTS = 65_536

#: The other sides whose counts a verdict keeps by strata; the baseline has the empty name.
_NEUTRAL, _REFERENCE = "neutral", "reference "


@dataclass(frozen=True)
class Strata:
    """The strata of a cell.

    Attributes:
        drawn: Those that shots are drawn from.
        chances: The probabilities of those that are listed, that of no fault first.
        sets: How many sets each of these has.
    """

    drawn: DrawnStrata
    chances: tuple[float, ...]
    sets: tuple[int, ...]

    def draw(self, phases: Sequence[tuple[tuple[float, ...], Scored]], listing: int) -> StrataDraw:
        """How the next chunks are drawn, from past shots alone; the sets are listed from chunk `listing` on."""
        shares = shares_for(self.drawn.probabilities, self.counts(phases).phases if phases else ())
        return StrataDraw(shares, self.sets, listing)

    def counts(self, phases: Sequence[tuple[tuple[float, ...], Scored]], side: str = "") -> StratifiedCounts:
        """The counts of some phases, with another side than the baseline in its place if one is named."""
        tallies = [(shares, scored.strata[side]) for shares, scored in phases]
        return together(tallies, self.drawn, self.chances)


def strata_at(stream: ScoreStream, max_shots: int) -> Strata:
    """The strata of a stream's cell, whose test may take so many shots.

    Raises:
        UsageError: Its shots cannot be drawn by strata.
    """
    found = stream.run(STRATA, most_listed=int(max_shots * LISTED_PART))
    sets, probabilities = tuple(found["listed"]), tuple(found["probabilities"])
    faults = tuple(range(len(sets), len(probabilities)))
    drawn = DrawnStrata(faults, probabilities[len(sets) :], found["beyond"])
    return Strata(drawn, probabilities[: len(sets)], sets)


class StrataTest:
    """The test of one cell by strata: its phases so far.

    Args:
        strata: Of the cell.
    """

    def __init__(self, strata: Strata):
        self.strata = strata
        self.draw = strata.draw([], 0)
        self._phases: list[tuple[tuple[float, ...], Scored]] = []
        self._decided = 0

    @property
    def least(self) -> int:
        """The shots of the first look: as many as the list of sets takes."""
        return self.draw.chunks * CHUNK_SHOTS

    @property
    def counts(self) -> StratifiedCounts:
        """The counts so far."""
        return self.strata.counts(self._phases)

    def add(self, scored: Scored) -> None:
        """Add shots that were drawn as `draw` says, and decide how the next ones are."""
        if self._phases and self._phases[-1][0] == self.draw.shares:
            self._phases[-1] = (self.draw.shares, self._phases[-1][1] + scored)
        else:
            self._phases.append((self.draw.shares, scored))
        shots = sum(phase.counts.shots for _, phase in self._phases)
        if shots >= AGAIN_AT * self._decided:
            self._decided, self.draw = shots, self.strata.draw(self._phases, 0)

    def noted(self, headline: Scored | None, shares: tuple[float, ...], costs: Scored) -> ByStrata:
        """The counts as a verdict holds them.

        Args:
            headline: The shots behind the figures, if there are any.
            shares: Of those.
            costs: Plain shots.
        """
        of = self.strata
        found = ByStrata(_sample(self.counts), of.drawn, cost_shots=costs.counts.shots)
        if headline is None:
            return replace(found, effective_shots=self.counts.effective_shots)
        phases = [(shares, headline)]
        behind = of.counts(phases)
        return replace(
            found,
            extension=_sample(behind),
            neutral=_sample(of.counts(phases, _NEUTRAL)) if _NEUTRAL in headline.strata else None,
            references={
                name.removeprefix(_REFERENCE): _sample(of.counts(phases, name))
                for name in sorted(headline.strata)
                if name.startswith(_REFERENCE)
            },
            effective_shots=behind.effective_shots,
        )


def _sample(counts: StratifiedCounts) -> StrataSample:
    return StrataSample(counts.listed, counts.phases)
