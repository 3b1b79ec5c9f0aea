"""Shots by the number of mechanisms that fire: which strata a problem has, how likely each is, and shots drawn within one.

At low rates most shots are easy because few mechanisms fire. `protocol.sampling: stratified` lists the sets of at most two
mechanisms, where they are few, and draws the others with more shots where failures are. The strata's probabilities are a Poisson
binomial distribution, computed from the mechanisms' priors by sums of positive terms alone, so they are exact up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoqec.counted_words import counted
from autoqec.errors import UsageError
from autoqec.plugins import Registry
from autoqec.problem.environment import Choice
from autoqec.problem.flat_errors import flat_errors
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import CHUNK_SHOTS, Shots
from autoqec.scoring.fault_sets import how_many, listed, odds, shots_of, shots_with

#: Shots of more faults than are drawn are less likely than this together; the interval charges them to the candidate.
BEYOND = 1e-15

#: The most faults of a shot that is drawn. Where more are likely, failures are not rare, and plain shots do.
MOST_FAULTS = 64

#: Strata of fewer faults may all be listed, so there is always one of this many to draw.
FEWEST_DRAWN = 3

#: Listed sets in a chunk. The rest of it is drawn, in one random order, so that no chunk tells how many faults its shots have.
LISTED_IN_CHUNK = CHUNK_SHOTS // 2


@dataclass(frozen=True)
class FaultStrata:
    """The strata of a problem.

    Attributes:
        probabilities: That exactly so many mechanisms fire, from 0 to the most that are drawn, float64 `[faults + 1]`.
        beyond: An upper bound on the probability that more fire.
        tables: `tables[j, i]` is the sum, over all sets of j of the mechanisms from i on, of the product of their odds.
            float64 `[faults + 1, mechanisms + 1]`.
    """

    probabilities: np.ndarray
    beyond: float
    tables: np.ndarray

    @property
    def most(self) -> int:
        """The most faults of a shot that is drawn."""
        return len(self.probabilities) - 1

    @property
    def no_fault(self) -> float:
        """The probability that no mechanism fires."""
        return float(self.probabilities[0])

    def draw(self, faults: np.ndarray, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """Draw a set of mechanisms for each shot, as noise draws it given how many fire.

        The mechanisms are walked through in order. With j still to fire among those from i on, the next one that fires is at
        or after i' with probability `tables[j, i'] / tables[j, i]`, so each is one draw of the inverse distribution.

        Args:
            faults: How many mechanisms fire in each shot, int64 `[shots]`.
            rng: Source of the draws.

        Returns:
            Members of the sets, one from each shot at a time: rows, and the mechanism in each.
        """
        place = np.zeros(len(faults), dtype=np.int64)
        members = []
        for left in range(int(faults.max(initial=0)), 0, -1):
            rows = np.flatnonzero(faults >= left)
            column = self.tables[left]
            bar = rng.random(len(rows)) * column[place[rows]]
            # The last mechanism from which on the table is above the bar; one of prior zero has no step down there.
            member = len(column) - np.searchsorted(column[::-1], bar, side="right") - 1
            place[rows] = member + 1
            members.append((rows, member))
        return members


def weights_of(priors: np.ndarray, most: int) -> tuple[np.ndarray, float]:
    """The Poisson binomial distribution of how many mechanisms fire.

    One mechanism is added at a time, and what is beyond `most` is collected, not subtracted: all terms are positive, so the
    relative error of each result is at most about `mechanisms` roundings.

    Args:
        priors: Probability of each mechanism, float64 `[mechanisms]`.
        most: The largest number of interest.

    Returns:
        The probabilities of 0 to `most`, float64 `[most + 1]`; and an upper bound on that of more.
    """
    poly = np.zeros(most + 2)
    poly[0] = 1.0
    for prior in priors:
        more = poly[:-1] * prior
        poly[:-1] *= 1 - prior
        poly[1:] += more
    return poly[:-1], float(poly[-1]) * (1 + 1e-9)


def strata_of(problem: Problem) -> FaultStrata:
    """The strata of a problem.

    Raises:
        UsageError: Its shots are no sets of independent mechanisms, or so many fire that strata are no help.
    """
    why = why_no_strata(problem)
    probabilities, beyond = weights_of(problem.mechanisms.priors, MOST_FAULTS)
    if why is None and len(problem.mechanisms) <= FEWEST_DRAWN:
        why = f"with {len(problem.mechanisms)} mechanisms no stratum is left to draw"
    if why is None and beyond > BEYOND:
        why = f"more than {MOST_FAULTS} mechanisms fire in a shot with probability {beyond:.2g}: failures are not rare here"
    above = [beyond + float(probabilities[k + 1 :].sum()) * (1 + 1e-9) for k in range(MOST_FAULTS + 1)]
    most = max(FEWEST_DRAWN, next((k for k, left in enumerate(above) if left <= BEYOND), 0))
    if why is None and not probabilities[: most + 1].all():
        never = int(np.argmin(probabilities[: most + 1]))
        why = f"{counted(never, 'mechanism')} never fire at once, as far as a floating-point number can tell"
    if why is not None:
        raise UsageError(
            f"protocol.sampling: stratified does not fit: {why}",
            hint="leave out protocol.sampling; autoqec env check ENV says which sampling pays",
            code="no_strata",
        )
    return FaultStrata(probabilities[: most + 1], above[most], _tables(odds(problem), most))


def why_no_strata(problem: Problem) -> str | None:
    """Why shots of a problem are no sets of independent mechanisms; None if they are."""
    if problem.circuit is not None:
        try:
            problem.circuit.detector_error_model(approximate_disjoint_errors=False)
        except ValueError:
            return "the noise has errors that exclude each other, so mechanisms do not fire independently"
    errors = flat_errors(problem.dem)
    seen = errors.detectors_of(errors.whole, errors.whole_start) > 0
    if (~seen & (np.diff(errors.whole_start) > 0) & (errors.probability > 0)).any():
        return "an error flips an observable and no detector, so it is no mechanism, but it makes shots fail"
    return None


def refuse_near_ml(references: Sequence[Choice], registry: Registry) -> None:
    """Refuse references near maximum likelihood: a verdict holds a candidate against them by plain counts.

    Raises:
        UsageError: There is one.
    """
    for choice in references:
        if registry.get("decoder", choice.kind).capabilities.get("near_ml"):
            raise UsageError(
                f"protocol.sampling: stratified does not fit: {choice.label} is compared on plain shots alone",
                hint=f"leave out the reference {choice.label}, or protocol.sampling; then autoqec env check ENV",
                code="no_strata",
            )


def _tables(odd: np.ndarray, most: int) -> np.ndarray:
    tables = np.zeros((most + 1, len(odd) + 1))
    tables[0] = 1.0
    for left in range(1, most + 1):
        tables[left, :-1] = np.cumsum((odd * tables[left - 1, 1:])[::-1])[::-1]
    return tables


def sets_to_list(problem: Problem, most: int) -> tuple[int, ...]:
    """How many sets there are of each weight that is listed, from 0 on: of weights 0 to 2, as far as all are at most `most`."""
    counts = tuple(how_many(problem, weight) for weight in range(3))
    return next(counts[:end] for end in (3, 2, 1) if sum(counts[:end]) <= most or end == 1)


@dataclass(frozen=True)
class StrataChunk:
    """A chunk of shots by strata. How many faults a shot has stays with the judge.

    Attributes:
        shots: Listed and drawn shots, in one random order.
        faults: How many mechanisms fire in each, int64 `[shots]`.
        listed: Which are listed, bool `[shots]`.
        products: Of the listed ones, the product of their mechanisms' odds; 0 for the drawn. float64 `[shots]`.
    """

    shots: Shots
    faults: np.ndarray
    listed: np.ndarray
    products: np.ndarray


def strata_chunk(
    problem: Problem, strata: FaultStrata, seed: int, shares: tuple[float, ...], first: int, sets: tuple[int, ...]
) -> StrataChunk:
    """Make a chunk of `CHUNK_SHOTS` shots.

    Args:
        problem: The problem.
        strata: Its strata.
        seed: 64-bit seed of the chunk.
        shares: Of the drawn shots, how likely each has `len(sets)`, `len(sets) + 1`, … faults; they sum to one.
        first: The first of the sets that this chunk lists; past the last one it lists none.
        sets: How many sets of each listed weight there are, from 0 on.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    parts, faults = [], []
    begin = 0
    for weight, count in enumerate(sets):
        low, high = max(first - begin, 0), min(first + LISTED_IN_CHUNK - begin, count)
        if low < high:
            parts.append(_listed(problem, weight, low, high - low))
            faults.append(np.full(high - low, weight))
        begin += count
    ranks = sum(len(each) for each in faults)
    drawn = rng.choice(np.arange(len(sets), len(sets) + len(shares)), size=CHUNK_SHOTS - ranks, p=np.array(shares))
    members = strata.draw(drawn, rng)
    every = np.concatenate([*faults, drawn])
    products = np.zeros(CHUNK_SHOTS)
    products[:ranks] = np.concatenate([each.products for each in parts]) if parts else []
    made = [each.shots for each in parts] + [shots_with(problem, len(drawn), members)]
    order = rng.permutation(CHUNK_SHOTS)
    shots = Shots(
        np.concatenate([each.syndromes for each in made])[order],
        np.concatenate([each.observables for each in made])[order],
    )
    return StrataChunk(shots, every[order], (np.arange(CHUNK_SHOTS) < ranks)[order], products[order])


@dataclass(frozen=True)
class _Listed:
    shots: Shots
    products: np.ndarray


def _listed(problem: Problem, weight: int, first: int, count: int) -> _Listed:
    if weight == 0:
        return _Listed(shots_with(problem, count, []), np.ones(count))
    members = listed(problem, weight, first, count)
    return _Listed(shots_of(problem, members), odds(problem)[members].prod(axis=1))
