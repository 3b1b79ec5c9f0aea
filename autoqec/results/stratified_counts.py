"""Counts by the number of faults: rates, evidence and intervals of shots that are drawn by strata.

A stratum is "exactly k mechanisms fire", and its probability is known. Few sets are listed: what they add to the rates is exact.
The other strata are drawn: of each shot, first k with a known share g(k), then a set of k mechanisms as noise draws it. Such a
shot has the weight w(k) = P(k) / g(k), so the mean of its weighted outcome is the part of these strata in the rate. The outcome
is bounded, so the same bets as on plain counts apply (Waudby-Smith and Ramdas 2024): the wealth is a nonnegative supermartingale
under the null, whatever past shots decided the shares. Shots of more faults than are drawn count against the claim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isclose, log1p, sqrt

from autoqec.results.bets import BETS, log_mean_exp
from autoqec.results.counts import PairedCounts

#: A stratum has at least this part of the typical stratum's shots for its probability. It bounds the weights, and so the bets.
LEAST_RATE = 0.25

#: Sums of probabilities are one up to this.
_WHOLE = 1e-9

#: A stratum without failures is taken to have half of one, for the shares alone.
_UNSEEN = 0.5


@dataclass(frozen=True)
class ListedStratum:
    """A stratum of which all sets were scored.

    Attributes:
        faults: Mechanisms that fire.
        probability: That exactly so many fire.
        counts: Of the sets.
        failing: Probabilities that exactly so many fire and the baseline fails, or the candidate.
    """

    faults: int
    probability: float
    counts: PairedCounts
    failing: tuple[float, float]


@dataclass(frozen=True)
class Phase:
    """Drawn shots of one allocation.

    Attributes:
        shares: How likely a shot was to be of each drawn stratum; they sum to one.
        counts: Of the shots in each.
    """

    shares: tuple[float, ...]
    counts: tuple[PairedCounts, ...]

    @property
    def shots(self) -> int:
        """All of them."""
        return sum(each.shots for each in self.counts)


@dataclass(frozen=True)
class DrawnStrata:
    """The strata that shots are drawn from.

    Attributes:
        faults: Mechanisms that fire in each.
        probabilities: That exactly so many fire.
        beyond: An upper bound on the probability that more fire than in any of them.
    """

    faults: tuple[int, ...]
    probabilities: tuple[float, ...]
    beyond: float


@dataclass(frozen=True)
class StratifiedCounts:
    """How two decoders did on the same shots, by strata. It has the rates of `PairedCounts`, each a weighted mean.

    Attributes:
        drawn: The strata that are drawn.
        listed: Those that are listed.
        phases: The drawn shots, by allocation.
    """

    drawn: DrawnStrata
    listed: tuple[ListedStratum, ...]
    phases: tuple[Phase, ...]

    @property
    def fault(self) -> str | None:
        """Why there can be no such counts; None if there can. Anyone who can push can write a note."""
        drawn, strata = self.drawn, len(self.drawn.faults)
        chances = [each.probability for each in self.listed] + [*drawn.probabilities]
        if not strata or len(drawn.probabilities) != strata or not self.phases:
            return "there are no strata, or no shots of them"
        if (
            min(chances) <= 0
            or not 0 <= drawn.beyond < 1
            or not isclose(sum(chances) + drawn.beyond, 1, abs_tol=_WHOLE)
        ):
            return "the probabilities of the strata do not sum to one"
        if tuple(each.faults for each in self.listed) + drawn.faults != tuple(range(len(chances))):
            return "the strata are not those of 0, 1, 2 and so on faults"
        for phase in self.phases:
            if len(phase.shares) != strata or len(phase.counts) != strata:
                return "a phase has other strata"
            if min(phase.shares) <= 0 or not isclose(sum(phase.shares), 1, abs_tol=_WHOLE):
                return "the shares of a phase do not sum to one"
        for each in self.listed:
            for failed, sets in zip(
                each.failing, (each.counts.baseline_failures, each.counts.candidate_failures), strict=True
            ):
                if not 0 <= failed <= each.probability * (1 + _WHOLE) or (failed > 0) != (sets > 0):
                    return f"the sets of {each.faults} faults that fail cannot have the probability {failed:g}"
        return None

    @property
    def raw(self) -> PairedCounts:
        """The counts without weights: they say how many shots were decoded, and no rate."""
        every = [each.counts for each in self.listed] + [counts for phase in self.phases for counts in phase.counts]
        return sum(every, PairedCounts())

    @property
    def shots(self) -> int:
        """All shots, listed and drawn."""
        return self.raw.shots

    @property
    def ler_baseline(self) -> float:
        """Logical error rate per shot of the baseline."""
        return self._rate(0)

    @property
    def ler_candidate(self) -> float:
        """Logical error rate per shot of the candidate."""
        return self._rate(1)

    @property
    def delta_ler(self) -> float:
        """`ler_baseline - ler_candidate`; positive when the candidate is better."""
        return self.ler_baseline - self.ler_candidate

    @property
    def ler_ratio(self) -> float | None:
        """`ler_candidate / ler_baseline`; None when the baseline never failed."""
        baseline = self.ler_baseline
        return self.ler_candidate / baseline if baseline else None

    @property
    def effective_shots(self) -> float | None:
        """How many plain shots would give the baseline's rate with the same standard error; None without failures."""
        rate, shots = self.ler_baseline, sum(phase.shots for phase in self.phases)
        squares = sum(
            weight**2 * counts.baseline_failures
            for phase in self.phases
            for weight, counts in zip(self._weights(phase), phase.counts, strict=True)
        )
        variance = (squares / shots - (rate - self._exact(0)) ** 2) / shots if shots else 0.0
        return rate * (1 - rate) / variance if variance > 0 else None

    def __add__(self, other: StratifiedCounts) -> StratifiedCounts:
        """These phases and then the other's. The same sets are listed in both, and count once, as they came out here.

        Raises:
            ValueError: The two are not of the same strata.
        """
        if self.drawn != other.drawn:
            raise ValueError("counts of different strata do not add")
        return StratifiedCounts(self.drawn, self.listed, self.phases + other.phases)

    def mirrored(self) -> StratifiedCounts:
        """The counts with baseline and candidate exchanged."""
        return StratifiedCounts(
            self.drawn,
            tuple(
                ListedStratum(each.faults, each.probability, _mirrored(each.counts), (each.failing[1], each.failing[0]))
                for each in self.listed
            ),
            tuple(Phase(phase.shares, tuple(map(_mirrored, phase.counts))) for phase in self.phases),
        )

    def log_e(self, baseline: float, candidate: float, shot: float) -> float:
        """Log of the evidence that the mean payoff is above 0.

        Args:
            baseline, candidate: What a failure of each side pays.
            shot: What every shot pays.
        """
        return log_mean_exp([wealth for _, wealth in self.log_wealths(baseline, candidate, shot)])

    def log_wealths(self, baseline: float, candidate: float, shot: float) -> list[tuple[float, float]]:
        """Each bet with the log of its wealth; arguments are as of `log_e`."""
        offset = self._offset(baseline, candidate, shot)
        terms = [term for phase in self.phases for term in self._terms(phase, baseline, candidate, offset)]
        return [(bet, sum(count * log1p(bet * gain) for count, gain in terms)) for bet in BETS]

    def _terms(self, phase: Phase, baseline: float, candidate: float, offset: float) -> Iterator[tuple[int, float]]:
        """How often a shot of a phase gained which part of what one bets."""
        weights = self._weights(phase)
        pays = (baseline + candidate, baseline, candidate)
        largest = max(weights)
        scale = max(largest, largest * -min(0.0, *pays) - offset)
        failing = 0
        for weight, counts in zip(weights, phase.counts, strict=True):
            found = (counts.both, counts.baseline_only, counts.candidate_only)
            failing += sum(found)
            yield from ((n, (weight * pay + offset) / scale) for n, pay in zip(found, pays, strict=True) if n)
        yield phase.shots - failing, offset / scale

    def _offset(self, baseline: float, candidate: float, shot: float) -> float:
        """What the listed strata are sure to pay, and at worst those beyond."""
        worst = min(0.0, baseline, candidate, baseline + candidate)
        return shot + baseline * self._exact(0) + candidate * self._exact(1) + worst * self.drawn.beyond

    def _exact(self, side: int) -> float:
        return sum(each.failing[side] for each in self.listed)

    def part(self, place: int) -> tuple[PairedCounts, tuple[float, float]]:
        """The counts of a drawn stratum, and its part in the rates of baseline and candidate.

        Args:
            place: Which, in the order of `drawn`.
        """
        rows = [(self._weights(phase)[place], phase.counts[place]) for phase in self.phases]
        shots = max(1, sum(phase.shots for phase in self.phases))
        plain = sum(weight * counts.baseline_failures for weight, counts in rows)
        own = sum(weight * counts.candidate_failures for weight, counts in rows)
        return sum((counts for _, counts in rows), PairedCounts()), (plain / shots, own / shots)

    def _rate(self, side: int) -> float:
        return self._exact(side) + sum(self.part(place)[1][side] for place in range(len(self.drawn.faults)))

    def _weights(self, phase: Phase) -> list[float]:
        return [p / share for p, share in zip(self.drawn.probabilities, phase.shares, strict=True)]


#: Paired counts of plain shots, or of shots by strata.
Counts = PairedCounts | StratifiedCounts


def _mirrored(counts: PairedCounts) -> PairedCounts:
    return PairedCounts(counts.shots, counts.both, counts.candidate_only, counts.baseline_only)


def shares_for(probabilities: Sequence[float], phases: Sequence[Phase]) -> tuple[float, ...]:
    """How likely a shot of the next phase is to be of each drawn stratum, by past shots alone.

    Before any shot the shares go like the root of the probabilities. Then they go like probability times the root of the rate at
    which shots of the stratum fail on either side (Neyman 1934), with three changes that keep them sound where few shots failed:
    a stratum without failures is taken to have half of one, one with fewer faults fails at most as often as the next, and none
    has less than a quarter of the typical root.

    Args:
        probabilities: Of the drawn strata, in order of their faults.
        phases: Past shots.
    """
    if not phases:
        return _normalised([sqrt(p) for p in probabilities])
    rates: list[float] = []
    for place in reversed(range(len(probabilities))):
        shots = sum(phase.counts[place].shots for phase in phases)
        failed = sum(sum(_failed(phase.counts[place])) for phase in phases)
        rates.append(min(max(failed, _UNSEEN) / (shots + 1), 1.0, *rates[-1:]))
    roots = [sqrt(rate) for rate in reversed(rates)]
    spread = sum(p * root for p, root in zip(probabilities, roots, strict=True))
    typical = sum(p * root**2 for p, root in zip(probabilities, roots, strict=True)) / spread
    return _normalised([p * max(root, LEAST_RATE * typical) for p, root in zip(probabilities, roots, strict=True)])


def _failed(counts: PairedCounts) -> tuple[int, int, int]:
    return counts.both, counts.baseline_only, counts.candidate_only


def _normalised(parts: Sequence[float]) -> tuple[float, ...]:
    whole = sum(parts)
    return tuple(part / whole for part in parts)
