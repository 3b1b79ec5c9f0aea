"""Evidence and intervals of shots by strata: as on plain counts where they are one stratum, and right as often as they say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from autoqec.results.counts import PairedCounts
from autoqec.results.decision import rate_surely_below, test_word
from autoqec.results.figures import Figures
from autoqec.results.statistics import (
    best_bet,
    candidate_rate_bounds,
    delta_interval,
    log_e_better,
    log_e_worse,
    ratio_interval,
)
from autoqec.results.stratified_counts import DrawnStrata, ListedStratum, Phase, StratifiedCounts, shares_for

test_word.__test__ = False

LARGE = 2000
runs = pytest.mark.parametrize("count", [200, pytest.param(LARGE, marks=pytest.mark.slow)])

PLAIN = PairedCounts(100_000, 300, 500, 420)


def one_stratum(counts):
    """Plain counts as if they were drawn by strata, of which there is one."""
    return StratifiedCounts(DrawnStrata((0,), (1.0,), 0.0), (), (Phase((1.0,), (counts,)),))


def test_one_stratum_is_plain_sampling():
    same = one_stratum(PLAIN)
    assert same.fault is None
    assert log_e_better(same) == pytest.approx(log_e_better(PLAIN))
    assert log_e_worse(same, 0.97) == pytest.approx(log_e_worse(PLAIN, 0.97))
    assert best_bet(same) == pytest.approx(best_bet(PLAIN))
    assert ratio_interval(same) == pytest.approx(ratio_interval(PLAIN))
    assert delta_interval(same) == pytest.approx(delta_interval(PLAIN), abs=1e-8)
    assert Figures.of(same).ler_ratio == pytest.approx(PLAIN.ler_ratio)
    assert same.effective_shots == pytest.approx(100_000)


#: Three strata of rare faults, and how often both sides, the baseline alone and the candidate alone fail in each.
CHANCES = (1e-3, 2e-5, 3e-7)
RATES = ((2e-3, 2e-3, 2e-3), (0.02, 0.02, 0.02), (0.1, 0.1, 0.1))
DRAWN = DrawnStrata((2, 3, 4), CHANCES, 1e-15)


def listed(baseline=0.0, candidate=0.0):
    """No fault, and one fault of which some sets fail."""
    left = 1 - sum(CHANCES) - 0.1
    failing = [PairedCounts(100, 0, int(baseline > 0), int(candidate > 0))]
    return (
        ListedStratum(0, left, PairedCounts(1), (0.0, 0.0)),
        ListedStratum(1, 0.1, failing[0], (baseline, candidate)),
    )


class Simulated:
    """Shots of known rates by strata, shared by the rule."""

    def __init__(self, rng, ratio=1.0, exact=(0.0, 0.0)):
        self.rng, self.ratio, self.exact = rng, ratio, exact
        self.phases = ()

    def more(self, shots):
        shares = shares_for(CHANCES, self.phases)
        counts = []
        for number, (both, plain, own) in zip(self.rng.multinomial(shots, shares), RATES, strict=True):
            found = self.rng.multinomial(number, [both, plain, own * self.ratio, 1 - both - plain - own * self.ratio])
            counts.append(PairedCounts(int(number), *map(int, found[:3])))
        self.phases += (Phase(shares, tuple(counts)),)

    @property
    def counts(self):
        return StratifiedCounts(DRAWN, listed(*self.exact), self.phases)


def looked_at(rng, alpha, **more):
    """The word of a test that stops at the first look that decides."""
    test = Simulated(rng, **more)
    for shots in (4000, 6000, 10_000, 20_000, 40_000):
        test.more(shots)
        word = test_word(test.counts, alpha)
        if word != "undecided":
            break
    return word


def worth(ratio):
    """The rates of the drawn strata at a ratio of the candidate's own failures, baseline and candidate."""
    plain = sum(p * (both + alone) for p, (both, alone, _) in zip(CHANCES, RATES, strict=True))
    own = sum(p * (both + alone * ratio) for p, (both, _, alone) in zip(CHANCES, RATES, strict=True))
    return plain, own


@runs
@pytest.mark.parametrize("balanced", [False, True])
def test_a_null_candidate_is_seldom_better(count, balanced):
    """Also one that is better in the drawn strata by exactly what it loses in those that are listed."""
    rng, alpha = np.random.default_rng(11), 0.05
    ratio = 0.5 if balanced else 1.0
    plain, own = worth(ratio)
    words = [looked_at(rng, alpha, ratio=ratio, exact=(0.0, plain - own)) for _ in range(count)]
    assert words.count("better") <= binom.ppf(0.999, count, alpha)


@runs
def test_a_candidate_that_fails_half_as_often_is_mostly_better(count):
    rng = np.random.default_rng(12)
    words = [looked_at(rng, 4e-4, ratio=0.2) for _ in range(count)]
    assert words.count("better") >= binom.ppf(0.001, count, 0.9)


@runs
def test_intervals_hold_the_rates(count):
    rng, missed = np.random.default_rng(13), 0
    plain, own = worth(0.6)
    exact = (2e-7, 1e-6)
    for _ in range(count // 4):
        test = Simulated(rng, ratio=0.6, exact=exact)
        test.more(5000)
        test.more(10_000)
        low, high = candidate_rate_bounds(test.counts, 0.025)
        missed += not low <= own + exact[1] <= high
        low, high = delta_interval(test.counts)
        missed += not low <= plain + exact[0] - own - exact[1] <= high
    assert missed <= binom.ppf(0.999, count // 2, 0.05)
    assert rate_surely_below(test.counts, 0.025) == candidate_rate_bounds(test.counts, 0.025)[1]


def test_rates_are_weighted_and_unbiased():
    rng = np.random.default_rng(14)
    plain, own = worth(1.0)
    found = []
    for _ in range(60):
        test = Simulated(rng, exact=(1e-6, 2e-6))
        test.more(3000)
        test.more(3000)
        found.append((test.counts.ler_baseline - 1e-6, test.counts.ler_candidate - 2e-6))
    mean, spread = np.mean(found, axis=0), np.std(found, axis=0) / 60**0.5
    assert (abs(mean - [plain, own]) < 4 * spread).all()


def test_what_is_beyond_the_strata_counts_against_each_claim():
    test = Simulated(np.random.default_rng(15), ratio=0.2)
    test.more(50_000)
    likely = StratifiedCounts(replace(DRAWN, beyond=1e-5), test.counts.listed, test.phases)
    assert log_e_better(likely) < log_e_better(test.counts)
    assert log_e_worse(likely, 0.1) < log_e_worse(test.counts, 0.1)
    assert candidate_rate_bounds(likely, 0.05)[1] > candidate_rate_bounds(test.counts, 0.05)[1] + 0.9e-5
    assert candidate_rate_bounds(likely, 0.05)[0] == candidate_rate_bounds(test.counts, 0.05)[0]


def test_shares_follow_past_failures_alone():
    first = shares_for(CHANCES, ())
    assert first == pytest.approx([p**0.5 / sum(q**0.5 for q in CHANCES) for p in CHANCES])
    often = Phase(first, (PairedCounts(9999, 100, 0, 0), PairedCounts(9999, 400, 0, 0), PairedCounts(9999, 1600, 0, 0)))
    assert shares_for(CHANCES, (often,))[1] / shares_for(CHANCES, (often,))[0] == pytest.approx(2e-2 * 2)
    never = Phase(first, (PairedCounts(99_999), PairedCounts(9999, 400, 0, 0), PairedCounts(9, 0, 0, 0)))
    kept = shares_for(CHANCES, (never,))
    weights = [p / share for p, share in zip(CHANCES, kept, strict=True)]
    assert max(weights) < 8 * min(weights), "no weight is so large that it bounds the bets"


def _phase(counts, **changed):
    return replace(counts, phases=(replace(counts.phases[0], **changed),))


def test_counts_that_cannot_be_say_so():
    test = Simulated(np.random.default_rng(16))
    test.more(1000)
    good = test.counts
    assert good.fault is None
    wrong = (
        replace(good, phases=()),
        replace(good, drawn=replace(DRAWN, probabilities=(0.5, 0.5, 0.5))),
        replace(good, drawn=replace(DRAWN, faults=(3, 4, 5))),
        _phase(good, shares=(1.0,)),
        _phase(good, shares=(0.5, 0.5, 0.5)),
        _phase(good, shares=(1.5, -1.0, 0.5)),
        replace(good, listed=listed(0.5, 0.0)),
        replace(good, listed=(good.listed[0], replace(good.listed[1], failing=(0.01, 0.0)))),
    )
    assert all(each.fault for each in wrong)
    with pytest.raises(ValueError, match="different strata"):
        _ = good + replace(good, drawn=replace(DRAWN, beyond=0.1))


def test_exchanged_sides_exchange_the_rates():
    test = Simulated(np.random.default_rng(17), ratio=0.3, exact=(1e-6, 2e-6))
    test.more(3000)
    turned = test.counts.mirrored()
    assert (turned.ler_baseline, turned.ler_candidate) == (test.counts.ler_candidate, test.counts.ler_baseline)
    assert turned.mirrored() == test.counts
