"""The ratio to the best reference: its interval holds however the failures of the two decoders coincide."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

from autoqec.results.reference_ratio import ALPHA, best_reference
from autoqec.results.round_results import RoundResults, read_results
from autoqec.testing import figures


class Noted:
    """A round's notes."""

    def __init__(self, metrics=None, verdict=None):
        self.metrics, self.verdict, self.analysis = metrics, verdict, None


def results(**changes):
    return read_results(Noted(metrics=figures(**changes)))


def of(candidate, reference, shots):
    return best_reference(results(shots=shots, ler_candidate=candidate / shots, references={"r": reference / shots}))


def test_the_best_reference_is_the_one_that_fails_least():
    found = best_reference(results(shots=1000, ler_candidate=0.02, references={"a": 0.05, "b": 0.025, "c": 0.03}))
    assert (found.name, found.ler, found.shots, found.ratio) == ("b", 0.025, 1000, pytest.approx(0.8))
    assert found.interval[0] < 0.8 < found.interval[1]


@pytest.mark.parametrize(("candidate", "reference"), [(1774, 2136), (20, 25), (0, 7)])
def test_the_ends_are_those_of_two_exact_intervals_at_half_the_level(candidate, reference):
    shots, tail = 200_704, ALPHA / 4
    low, high = of(candidate, reference, shots).interval
    # By the tails of the binomial distribution, in the place of the inverse beta function.
    most, least = (
        _root(lambda rate: binom.cdf(reference, shots, rate) - tail),
        _root(lambda rate: tail - binom.sf(reference - 1, shots, rate)),
    )
    upper = _root(lambda rate: binom.cdf(candidate, shots, rate) - tail)
    lower = _root(lambda rate: tail - binom.sf(candidate - 1, shots, rate)) if candidate else 0.0
    assert (low, high) == (pytest.approx(lower / most, rel=1e-6), pytest.approx(upper / least, rel=1e-6))


def _root(function):
    return brentq(function, 1e-9, 0.5, xtol=1e-15)


@pytest.mark.parametrize("together", [0.0, 0.5, 1.0])
def test_it_covers_the_true_ratio_whatever_the_failures_have_in_common(together):
    """300 pairs of decoders of 2000 shots each, with the rates 0.02 and 0.025 and a share of common failures."""
    generator, shots, rates = np.random.default_rng(1), 2000, (0.02, 0.025)
    both = together * rates[0]
    parts = [both, rates[0] - both, rates[1] - both]
    drawn = generator.multinomial(shots, [*parts, 1 - sum(parts)], size=300)
    inside = [
        low < 0.8 < (high or np.inf)
        for b, c, r, _ in drawn.tolist()
        for low, high in [of(b + c, b + r, shots).interval]
    ]
    assert np.mean(inside) >= 1 - ALPHA


def test_without_failures_or_references_it_says_so():
    assert of(5, 0, 1000).ratio is None
    assert of(5, 0, 1000).interval[1] is None
    assert best_reference(results(references={})) is None
    assert best_reference(RoundResults()) is None


def test_references_behind_a_gate_and_weighted_counts_have_no_interval():
    gated = {"shots": 1000, "sent": 10, "sampled": 5, "differing": 0, "share": 0.01, "missed_at_most": 0.4}
    found = best_reference(results(shots=1000, ler_candidate=0.02, references={"r": 0.025}, gated={"r": gated}))
    assert (found.ratio, found.interval) == (pytest.approx(0.8), None)
