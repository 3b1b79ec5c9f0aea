"""Where the curves of two distances cross: the physical error rate from which on the larger code is no longer better.

At each physical error rate p the log of the ratio of both codes' rates has an estimate and a variance, from the counts. Near the
crossing it is fitted by a polynomial in log p, by least squares with those variances: a cubic through the five points nearest to
the crossing, a parabola through four. The crossing is its zero. The interval has all places x at which a polynomial that is zero
at x fits nearly as well: its chi-squared is within 3.84 of the free one's. That is the likelihood-ratio interval where the logs
are normal. There is no crossing where the interval does not lie between the smallest and the largest p, or where the larger code
is not the better one below it.

A rate per shot bends towards 1/2 as rounds add up, so the fit is to `-log(1 - 2 P) / 2` in place of P, which grows in proportion
to the rounds. Two rates are equal where these are. How often intervals hold the true crossing is measured in `tests/results`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log

from autoqec.results.piece_rates import rate_per
from autoqec.results.suppression import CHI_SQUARED_95

#: A log of a count is normal enough from so many failures on; with fewer, too many of the intervals that are shown miss the truth
#: (`benchmarks/sweep_intervals.py`). And a rate is far enough from chance up to this one.
LEAST_ERRORS, MOST_RATE = 100, 0.48

#: The points nearest to the crossing that are fitted; a crossing needs `_LEAST_POINTS`.
_NEAREST, _LEAST_POINTS = 5, 4

#: Places between two ends at which a fit is looked at before a border is searched.
_GRID = 400


@dataclass(frozen=True)
class LogRatio:
    """The log of the ratio of two codes' rates at one physical error rate.

    Attributes:
        p: Physical error rate.
        value: The log of the larger code's rate over the smaller code's.
        variance: Its variance.
    """

    p: float
    value: float
    variance: float


def log_rate(shots: int, errors: int, observables: int) -> tuple[float, float] | None:
    """The log of `-log(1 - 2 P) / 2`, where P is the rate per observable, and the variance of that log.

    Returns:
        Both; None where there are too few failures for a normal log, or the rate is near chance.
    """
    if errors < LEAST_ERRORS:
        return None
    rate = errors / shots
    one = rate_per(rate, "logical", 1, observables)
    if one > MOST_RATE:
        return None
    strength = -log(1 - 2 * one) / 2
    slope = (1 - rate) ** (1 / observables - 1) / observables / ((1 - 2 * one) * strength)
    return log(strength), slope**2 * rate * (1 - rate) / shots


@dataclass(frozen=True)
class CrossingFit:
    """A crossing.

    Attributes:
        p: The physical error rate.
        interval: Its 95 % interval.
        points: How many points it was fitted to.
    """

    p: float
    interval: tuple[float, float]
    points: int


def fit_crossing(ratios: Sequence[LogRatio]) -> CrossingFit | None:
    """Find where two curves cross; None if they do not, as far as the counts tell."""
    points = sorted(ratios, key=lambda each: each.p)
    if len(points) < _LEAST_POINTS:
        return None
    middle = _Fit(points).rising_root()
    if middle is None:
        return None
    nearest = sorted(points, key=lambda each: abs(log(each.p) - middle))[:_NEAREST]
    fit = _Fit(sorted(nearest, key=lambda each: each.p))
    root = fit.rising_root()
    return None if root is None else _crossing(fit, root)


def _crossing(fit: _Fit, root: float) -> CrossingFit | None:
    low, high = fit.end_towards(fit.least, root), fit.end_towards(fit.most, root)
    if low is None or high is None:
        return None
    return CrossingFit(exp(root), (exp(low), exp(high)), fit.count)


class _Fit:
    """A least-squares polynomial through log ratios: a cubic, or of a lower degree through few points."""

    def __init__(self, points: Sequence[LogRatio]) -> None:
        self.count = len(points)
        self._x = [log(each.p) for each in points]
        self._y = [each.value for each in points]
        self._weight = [1 / each.variance for each in points]
        self.least, self.most = self._x[0], self._x[-1]
        self._degree = min(3, self.count - 2)
        self._middle = sum(self._x) / self.count
        rows = [[(x - self._middle) ** power for power in range(self._degree + 1)] for x in self._x]
        self._coefficients, self._chi = self._solved(rows)

    def _solved(self, rows: Sequence[Sequence[float]]) -> tuple[list[float], float]:
        """Coefficients of weighted least squares, and the chi-squared that they leave."""
        size = len(rows[0])
        normal = [
            [sum(w * row[i] * row[j] for w, row in zip(self._weight, rows, strict=True)) for j in range(size)]
            + [sum(w * row[i] * y for w, row, y in zip(self._weight, rows, self._y, strict=True))]
            for i in range(size)
        ]
        found = _solve(normal)
        residuals = [
            y - sum(c * each for c, each in zip(found, row, strict=True)) for row, y in zip(rows, self._y, strict=True)
        ]
        return found, sum(w * each * each for w, each in zip(self._weight, residuals, strict=True))

    def _at(self, x: float) -> float:
        return sum(c * (x - self._middle) ** power for power, c in enumerate(self._coefficients))

    def rising_root(self) -> float | None:
        """The zero between the ends at which the fit goes from below to above, in log p."""
        places = [self.least + (self.most - self.least) * step / _GRID for step in range(_GRID + 1)]
        rising = [(a, b) for a, b in pairwise(places) if self._at(a) < 0 <= self._at(b)]
        if len(rising) != 1:
            return None
        (low, high), *_ = rising
        return _bisected(lambda x: self._at(x) < 0, low, high)

    def _excess(self, x: float) -> float:
        """By how much chi-squared grows if the fit is zero at x."""
        rows = [[(each - x) ** power for power in range(1, self._degree + 1)] for each in self._x]
        return self._solved(rows)[1] - self._chi

    def end_towards(self, end: float, root: float) -> float | None:
        """The end of the interval on one side of the root; None if it is not reached before the last point."""
        steps = [root + (end - root) * step / _GRID for step in range(_GRID + 1)]
        for inner, outer in pairwise(steps):
            if self._excess(outer) > CHI_SQUARED_95:
                return _bisected(lambda x: self._excess(x) <= CHI_SQUARED_95, inner, outer)
        return None


def _solve(rows: list[list[float]]) -> list[float]:
    """Solve a few linear equations, each given with its right side, by elimination with pivots."""
    size = len(rows)
    for place in range(size):
        pivot = max(range(place, size), key=lambda row: abs(rows[row][place]))
        rows[place], rows[pivot] = rows[pivot], rows[place]
        for other in range(size):
            if other != place:
                factor = rows[other][place] / rows[place][place]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[place], strict=True)]
    return [rows[place][size] / rows[place][place] for place in range(size)]


def _bisected(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """The border between a place where something holds and one where it does not."""
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside
