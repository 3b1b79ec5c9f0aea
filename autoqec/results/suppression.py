"""The error suppression factor Λ: by how much two more of distance divide the logical error rate per round.

The model is a line, `log(rate per round) = a - b * d`, and `Λ = exp(2 b)`. It is fitted to the counts by maximum likelihood: each
distance has a binomial number of failures, at the rate per shot that its rate per round gives. So distances without any failure
count too, as what bounds Λ from below. The interval is the profile likelihood's: those b at which the best a leaves twice the log
likelihood within 3.84 of its maximum. The deviance from the separate rates of all distances says whether there is a line at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, log, log1p

from autoqec.results.piece_rates import shot_rate, shot_slope

#: The 95 % quantile of chi-squared with one degree of freedom.
CHI_SQUARED_95 = 3.841458820694124

#: Factors beyond these are not told from zero and infinity.
_LARGEST = 1e4

#: Steps between the smallest and the largest factor at which the likelihood is looked at first.
_GRID = 46

#: A rate per round from which on nothing more is lost.
_MOST = 0.499

#: A rate per round that stands for none.
_LEAST = 1e-30


@dataclass(frozen=True)
class DistanceCounts:
    """What one distance had.

    Attributes:
        distance: Code distance.
        rounds: Rounds of a shot.
        observables: Logical observables.
        shots: Shots.
        errors: Shots that failed.
    """

    distance: int
    rounds: int
    observables: int
    shots: int
    errors: int


@dataclass(frozen=True)
class SuppressionFit:
    """The fit of Λ.

    Attributes:
        value: Λ; None if fewer than two distances had failures.
        interval: Its 95 % interval; the upper end is None while no value, however large, is excluded.
        line_p: The p-value of the line, by its deviance; None with two distances, through which there always is a line.
    """

    value: float | None
    interval: tuple[float, float | None]
    line_p: float | None


def fit_suppression(counts: Sequence[DistanceCounts]) -> SuppressionFit | None:
    """Fit Λ to the counts of several distances at one physical error rate.

    Returns:
        The fit; None with fewer than two distances, without any failure, or if the counts exclude no value.
    """
    counted = [each for each in counts if each.shots > 0]
    if len({each.distance for each in counted}) < 2 or not any(each.errors for each in counted):
        return None
    profile = _Profile(counted)
    places = [(2 * place / _GRID - 1) * log(_LARGEST) / 2 for place in range(_GRID + 1)]
    values = [profile(place) for place in places]
    middle = max(range(_GRID + 1), key=lambda place: values[place])
    best = _highest(profile, places[max(0, middle - 1)], places[min(_GRID, middle + 1)])
    top = max(profile(best), values[middle])
    border = top - CHI_SQUARED_95 / 2
    low = _border(profile, border, [best, *reversed([place for place in places if place < best])])
    high = _border(profile, border, [best, *(place for place in places if place > best)])
    if low is None and high is None:
        return None
    several = len({each.distance for each in counted if each.errors}) > 1
    return SuppressionFit(
        value=exp(2 * best) if several else None,
        interval=(0.0 if low is None else exp(2 * low), None if high is None else exp(2 * high)),
        line_p=_line_p(counted, top),
    )


class _Profile:
    """The log likelihood of a slope b at its best a."""

    def __init__(self, counts: Sequence[DistanceCounts]) -> None:
        self._counts = counts
        self._middle = sum(each.distance for each in counts) / len(counts)
        self._widest = max(abs(each.distance - self._middle) for each in counts)
        self._start = log(0.01)

    def __call__(self, slope: float) -> float:
        """The log likelihood at its maximum over a, found by Fisher's scoring between two ends."""
        low, high = log(_LEAST), abs(slope) * self._widest
        level = min(high, max(low, self._start))
        for _ in range(100):
            score = information = 0.0
            for each in self._counts:
                one, other = self._score(each, level - slope * (each.distance - self._middle))
                score, information = score + one, information + other
            low, high = (level, high) if score > 0 else (low, level)
            after = level + score / information if information > 0 else low
            after = after if low < after < high else (low + high) / 2
            step, level = after - level, after
            if abs(step) < 1e-10:
                break
        self._start = level
        return sum(
            log_likelihood(each.errors, each.shots, self._shot(each, level - slope * (each.distance - self._middle)))
            for each in self._counts
        )

    @staticmethod
    def _shot(each: DistanceCounts, logarithm: float) -> float:
        return shot_rate(_bounded(logarithm), each.rounds, each.observables)

    def _score(self, each: DistanceCounts, logarithm: float) -> tuple[float, float]:
        """The derivative of the log likelihood by the log of the rate per round, and its information."""
        rate = _bounded(logarithm)
        shot = self._shot(each, logarithm)
        slope = rate * shot_slope(rate, each.rounds, each.observables)
        variance = shot * (1 - shot)
        return (each.errors - each.shots * shot) * slope / variance, each.shots * slope**2 / variance


def _bounded(logarithm: float) -> float:
    return min(_MOST, max(_LEAST, exp(min(logarithm, 0.0))))


def log_likelihood(errors: int, shots: int, rate: float) -> float:
    """The binomial log likelihood of a rate, without the constant."""
    lost = -inf if rate <= 0 else errors * log(rate)
    kept = -inf if rate >= 1 else (shots - errors) * log1p(-rate)
    return (lost if errors else 0.0) + (kept if shots > errors else 0.0)


def _highest(function: Callable[[float], float], low: float, high: float) -> float:
    """The place of the maximum of a function that rises and then falls, by golden section."""
    golden = (5**0.5 - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(40):
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = function(right)
        else:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = function(left)
    return (low + high) / 2


def _border(function: Callable[[float], float], border: float, places: Sequence[float]) -> float | None:
    """Where a function first falls below a border on the way over some places; None if it does not."""
    for inner, outer in pairwise(places):
        if function(outer) < border:
            inside, outside = inner, outer
            for _ in range(40):
                middle = (inside + outside) / 2
                inside, outside = (inside, middle) if function(middle) < border else (middle, outside)
            return inside
    return None


def _line_p(counts: Sequence[DistanceCounts], top: float) -> float | None:
    """The p-value of the line: how often counts on a line are at least as far from one as these."""
    freedom = len(counts) - 2
    if freedom < 1:
        return None
    from scipy.special import chdtrc

    apart = sum(log_likelihood(each.errors, each.shots, each.errors / each.shots) for each in counts)
    return float(chdtrc(freedom, max(0.0, 2 * (apart - top))))
