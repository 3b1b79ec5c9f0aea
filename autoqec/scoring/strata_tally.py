"""Counts of a chunk by strata: two sides on the same shots, split by how many faults each shot has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np

from autoqec.results.counts import PairedCounts
from autoqec.results.stratified_counts import DrawnStrata, ListedStratum, Phase, StratifiedCounts
from autoqec.scoring.fault_strata import StrataChunk


@dataclass(frozen=True)
class StrataTally:
    """Two sides on the same shots, by strata.

    Attributes:
        listed: Counts of the listed sets, by their faults, from 0 on.
        odds: Sums of the products of odds of the sets that each side fails, for the same strata.
        drawn: Counts of the drawn shots, by their faults, from `len(listed)` on.
    """

    listed: tuple[PairedCounts, ...]
    odds: tuple[tuple[float, float], ...]
    drawn: tuple[PairedCounts, ...]

    def __add__(self, other: StrataTally) -> StrataTally:
        return StrataTally(
            tuple(one + two for one, two in zip(self.listed, other.listed, strict=True)),
            tuple((a + c, b + d) for (a, b), (c, d) in zip(self.odds, other.odds, strict=True)),
            tuple(one + two for one, two in zip(self.drawn, other.drawn, strict=True)),
        )

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        listed, drawn = ([each.to_dict() for each in counts] for counts in (self.listed, self.drawn))
        return {"listed": listed, "odds": [list(each) for each in self.odds], "drawn": drawn}

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> StrataTally:
        """The inverse of `to_dict`."""
        listed, drawn = (tuple(map(PairedCounts.from_dict, fields[name])) for name in ("listed", "drawn"))
        return StrataTally(listed, tuple((float(one), float(two)) for one, two in fields["odds"]), drawn)


def tally(chunk: StrataChunk, listed: int, drawn: int, first: np.ndarray, second: np.ndarray) -> StrataTally:
    """Count two sides by strata.

    Args:
        chunk: The shots.
        listed, drawn: How many strata of each kind there are.
        first, second: Which shots each side failed, bool `[shots]`.
    """
    # 0: neither failed, 1: the first alone, 2: the second alone, 3: both.
    outcome = first + 2 * second.astype(np.int64)
    table = np.zeros((2, listed + drawn, 4), dtype=np.int64)
    np.add.at(table, (chunk.listed.astype(np.int64), chunk.faults, outcome), 1)
    # Summed exactly, so that the sum does not depend on the order of the shots.
    odds = [
        tuple(fsum(chunk.products[chunk.listed & (chunk.faults == weight) & failed]) for failed in (first, second))
        for weight in range(listed)
    ]
    return StrataTally(
        tuple(map(_counts, table[1, :listed])),
        tuple((one, two) for one, two in odds),
        tuple(map(_counts, table[0, listed:])),
    )


def _counts(row: np.ndarray) -> PairedCounts:
    return PairedCounts(int(row.sum()), int(row[3]), int(row[1]), int(row[2]))


def together(
    phases: Sequence[tuple[tuple[float, ...], StrataTally]], drawn: DrawnStrata, chances: Sequence[float]
) -> StratifiedCounts:
    """The counts of some phases, each with its shares; the listed sets are those of all phases together.

    Args:
        phases: In order.
        drawn: The strata that were drawn.
        chances: The probability of each listed stratum, that of no fault first.
    """
    whole = [sum(each[1:], each[0]) for each in zip(*(found.listed for _, found in phases), strict=True)]
    odds = [
        tuple(sum(side) for side in zip(*each, strict=True))
        for each in zip(*(found.odds for _, found in phases), strict=True)
    ]
    listed = tuple(
        ListedStratum(faults, chance, counts, (chances[0] * sums[0], chances[0] * sums[1]))
        for faults, (chance, counts, sums) in enumerate(zip(chances, whole, odds, strict=True))
    )
    return StratifiedCounts(drawn, listed, tuple(Phase(shares, found.drawn) for shares, found in phases))
