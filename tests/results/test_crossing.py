"""Where curves cross: against numpy, how often the interval holds the truth, and where there is none."""

from math import exp, log

import numpy as np
import pytest

from autoqec.results.crossing import LogRatio, fit_crossing, log_rate
from autoqec.results.piece_rates import shot_rate

TRUE = 0.007


def saturating(p, d):
    """A rate per round with a threshold at `TRUE`, which goes to chance above it."""
    return (1 - exp(-0.06 * (p / TRUE) ** ((d + 1) / 2))) / 2


def scaling(p, d):
    """A rate per round that depends on `(p / TRUE - 1) d ** (2 / 3)`, as finite-size scaling has it."""
    z = (p / TRUE - 1) * d ** (2 / 3)
    return min(0.49, 0.06 * exp(0.55 * z - 0.05 * z * z))


def drawn(rng, rate, shots, count, distances=(3, 5), low=3.0, high=2.2):
    ratios = []
    for p in np.geomspace(TRUE / low, TRUE * high, count):
        logs = [log_rate(shots, int(rng.binomial(shots, shot_rate(rate(p, d), 5, 1))), 1) for d in distances]
        if None not in logs:
            ratios.append(LogRatio(float(p), logs[1][0] - logs[0][0], logs[0][1] + logs[1][1]))
    return ratios


@pytest.mark.parametrize(("rate", "shots", "count"), [(saturating, 20_000, 8), (scaling, 20_000, 4)])
def test_intervals_hold_the_truth_as_often_as_they_say(rate, shots, count):
    rng, held, found = np.random.default_rng(5), 0, 0
    for _ in range(30):
        fit = fit_crossing(drawn(rng, rate, shots, count))
        if fit is not None:
            found += 1
            held += fit.interval[0] <= TRUE <= fit.interval[1]
    assert found >= 28
    assert held / found >= 0.88


def test_it_is_the_cubic_of_numpy():
    ratios = drawn(np.random.default_rng(8), saturating, 50_000, 5, high=1.6)
    fit = fit_crossing(ratios)
    x = np.array([log(each.p) for each in ratios])
    y, weight = np.array([each.value for each in ratios]), np.array([each.variance**-0.5 for each in ratios])
    coefficients = np.polyfit(x, y, 3, w=weight)
    roots = [root.real for root in np.roots(coefficients) if abs(root.imag) < 1e-9 and x[0] < root.real < x[-1]]
    assert fit.points == 5
    assert log(fit.p) == pytest.approx(roots[0], abs=1e-6)

    def chi(rows):
        solved = np.linalg.lstsq(rows * weight[:, None], y * weight, rcond=None)[0]
        return float(((y - rows @ solved) ** 2 * weight**2).sum())

    free = chi(np.vander(x - x.mean(), 4))
    for end in fit.interval:
        forced = np.stack([(x - log(end)) ** power for power in (1, 2, 3)], axis=1)
        assert chi(forced) - free == pytest.approx(3.8414588, abs=1e-4)


def test_there_is_none_where_curves_do_not_cross_or_hardly_do():
    rng = np.random.default_rng(1)
    below = drawn(rng, saturating, 50_000, 6, high=0.7)
    above = drawn(rng, saturating, 50_000, 6, low=0.8, high=4)
    noisy = drawn(rng, saturating, 400, 5, low=1.05, high=1.05)
    upside = [LogRatio(each.p, -each.value, each.variance) for each in drawn(rng, saturating, 50_000, 6)]
    for ratios in (below, above, noisy, upside, [], below[:3]):
        assert fit_crossing(ratios) is None


def test_few_failures_and_rates_near_chance_are_no_points():
    assert log_rate(1000, 9, 1) is None
    assert log_rate(1000, 490, 1) is None
    assert log_rate(1000, 490, 12) is not None  # any of twelve observables
    value, variance = log_rate(10_000, 100, 1)
    assert exp(value) == pytest.approx(-log(1 - 0.02) / 2)
    assert variance == pytest.approx(0.0099 / 0.98**2 / (log(0.98) / 2) ** 2 / 10_000 * 1.0, rel=1e-6)
