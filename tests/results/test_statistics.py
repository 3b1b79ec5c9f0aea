"""The paired e-process: valid under peeking, powerful enough, and a function of the counts alone."""

import random
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import (
    BETS,
    PLANNED_ATTEMPTS,
    attempt_alpha,
    attempt_share,
    delta_interval,
    log_e_better,
    log_e_worse,
    mcnemar_p,
    next_attempt,
    rate_interval,
    ratio_interval,
)

COUNTS = st.tuples(*[st.integers(0, 400)] * 3).map(lambda t: PairedCounts(20_000, *t))


def by_hand(counts, ratio):
    """The formula as it is written, with products instead of logarithms; for small counts."""
    a, b, c = counts.both, counts.baseline_only, counts.candidate_only
    return np.mean([(1 - x * (1 - ratio)) ** a * (1 + x * ratio) ** b * (1 - x) ** c for x in BETS])


@pytest.mark.parametrize("counts", [(10, 9, 3), (0, 0, 0), (5, 0, 20), (0, 30, 0)])
@pytest.mark.parametrize("ratio", [0.5, 0.97, 1.0])
def test_the_evidence_is_the_formula(counts, ratio):
    paired = PairedCounts(1000, *counts)
    assert exp(log_e_better(paired, ratio)) == pytest.approx(by_hand(paired, ratio))


@given(COUNTS)
def test_intervals_hold_the_estimate_and_agree_with_the_evidence(counts):
    low, high = ratio_interval(counts)
    if counts.ler_ratio is not None:
        assert low <= counts.ler_ratio
        assert high is None or counts.ler_ratio <= high
    assert (high is not None and high < 1) == (log_e_better(counts) > log(40))
    assert (low > 1) == (log_e_worse(counts) > log(40))
    delta_low, delta_high = delta_interval(counts)
    assert delta_low <= counts.delta_ler <= delta_high


@given(COUNTS, COUNTS)
def test_counts_add(one, other):
    both = one + other
    assert both.shots == one.shots + other.shots
    assert both.delta_ler == pytest.approx((one.delta_ler + other.delta_ler) / 2)
    assert PairedCounts.from_dict(both.to_dict()) == both


@pytest.mark.parametrize("counts", [(10, 5, 5, 5), (10, -1, 0, 0)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="impossible counts"):
        PairedCounts(*counts)


def simulate(rng, ratio, chunks, ler=0.014, overlap=0.7, chunk=8192):
    """Cumulative counts of a candidate of a true ratio; `overlap` of its failures are the baseline's too."""
    fails = ler * ratio
    both = overlap * min(fails, ler)
    p = [both, ler - both, fails - both]
    draws = rng.multinomial(chunk, [*p, 1 - sum(p)], size=chunks).cumsum(axis=0)
    return [PairedCounts(chunk * (i + 1), *map(int, row[:3])) for i, row in enumerate(draws)]


def rejected(path, alpha):
    return any(log_e_better(counts) >= log(1 / alpha) for counts in path)


def test_a_null_candidate_is_rarely_called_better_however_often_one_looks():
    rng = np.random.default_rng(1)
    runs = 300
    false = sum(rejected(simulate(rng, 1.0, 60), 0.05) for _ in range(runs))
    assert false / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_a_ratio_of_0_7_is_found_within_50_000_shots():
    rng = np.random.default_rng(2)
    found = sum(rejected(simulate(rng, 0.7, 6), attempt_alpha(0.05, 1, 0)) for _ in range(100))
    assert found >= 99


def test_intervals_cover():
    rng = np.random.default_rng(3)
    misses = 0
    for _ in range(200):
        counts = simulate(rng, 0.8, 12)[-1]
        low, high = ratio_interval(counts)
        delta_low, delta_high = delta_interval(counts)
        misses += not (low <= 0.8 <= high and delta_low <= 0.014 * 0.2 <= delta_high)
    assert misses <= 10


def test_the_error_budget_of_a_run_is_kept_however_long_it_goes_on():
    spent = [attempt_alpha(0.05, t, 0) for t in range(1, 2000)]
    assert sum(spent) <= 0.05
    assert spent[0] == pytest.approx(0.05 / 2 / PLANNED_ATTEMPTS)
    assert spent[PLANNED_ATTEMPTS - 1] == spent[0] > spent[PLANNED_ATTEMPTS]
    assert attempt_alpha(0.05, 5, 3) == pytest.approx(4 * spent[4])


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(200, 5000))
def test_exact_intervals_hold_the_estimate(failures, shots):
    low, high = rate_interval(failures, shots)
    assert 0 <= low <= failures / shots <= high <= 1


def test_mcnemar_is_a_coin():
    assert mcnemar_p(PairedCounts(100, 0, 5, 0)) == pytest.approx(1 / 32)
    assert mcnemar_p(PairedCounts(100, 7, 0, 0)) == 1.0


def test_what_clones_spent_twice_is_made_up_for_by_a_later_number():
    assert [next_attempt(range(1, n + 1)) for n in (0, 1, 63, 64, 200)] == [1, 2, 64, 65, 201]
    assert next_attempt([1, 1]) == next_attempt([1, 2]) == 3
    assert next_attempt([3, 1, 2]) == next_attempt([3, 2, 3]) == 4
    # Four shares of the second epoch are worth one of the first.
    assert next_attempt([*range(1, 65), 64]) == 65 + 4
    assert next_attempt([1] * 64 + [64]) == 65 + 4
    assert next_attempt([1] * 127) is not None
    assert next_attempt([1] * 128) is None, "128 clones began at once: nothing is left"


@pytest.mark.parametrize("seed", range(5))
def test_however_clones_diverge_and_unite_what_follows_keeps_the_budget(seed):
    chance = random.Random(seed)
    clones = [{} for _ in range(3)]  # attempt numbers by the id of what was begun
    for step in range(150):
        one, other = chance.sample(clones, 2)
        if chance.random() < 0.1:
            one |= other
        else:
            one[step] = next_attempt(one.values())
    united = list((clones[0] | clones[1] | clones[2]).values())
    chance.shuffle(united)
    assert next_attempt(united) == next_attempt(sorted(united)) > max(len(united), *united)
    for _ in range(300):
        united.append(next_attempt(united))
    assert sum(map(attempt_share, united)) <= 1
