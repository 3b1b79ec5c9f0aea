"""The counts of a verdict whose shots are drawn by strata, as a note keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoqec.results.note_form import flat, mapping
from autoqec.results.stratified_counts import DrawnStrata, ListedStratum, Phase, StratifiedCounts


@dataclass(frozen=True)
class StrataSample:
    """Shots by strata: those that are listed, and those that were drawn, by allocation."""

    listed: tuple[ListedStratum, ...]
    phases: tuple[Phase, ...]


@dataclass(frozen=True)
class ByStrata:
    """The counts of a test whose shots are drawn by strata. Its plain counts, beside these, have no weights.

    Attributes:
        test, extension, neutral: As in `Tested`, by strata.
        drawn: The strata that shots are drawn from.
        references: Each reference decoder in the baseline's place, on the shots behind the figures.
        cost_shots: Plain shots, beside these, that the costs are means over.
        effective_shots: How many plain shots would give the baseline's rate behind the figures with the same standard error.
    """

    test: StrataSample
    drawn: DrawnStrata = flat()
    extension: StrataSample | None = None
    neutral: StrataSample | None = None
    references: Mapping[str, StrataSample] = mapping()
    cost_shots: int = 0
    effective_shots: float | None = None

    def counts(self, sample: StrataSample) -> StratifiedCounts:
        """A sample with the strata that it was drawn from.

        Raises:
            ValueError: The note says what cannot be.
        """
        found = StratifiedCounts(self.drawn, sample.listed, sample.phases)
        why = found.fault
        if why is not None:
            raise ValueError(f"strata: {why}")
        return found

    @property
    def everything(self) -> StratifiedCounts:
        """All shots.

        Raises:
            ValueError: The note says what cannot be.
        """
        found = self.counts(self.test)
        return found if self.extension is None else found + self.counts(self.extension)
