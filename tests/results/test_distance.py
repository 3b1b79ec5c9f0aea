"""What counts as a regression: a single fault always, more faults by what they outweigh."""

import pytest

from autoqec.results.counts import PairedCounts
from autoqec.results.distance import break_even, certificate_row, certificate_word

#: `surface_d5_depol` as it was listed: no fault's probability, and the gains at the target.
NONE, PAIRS = 0.013612216, 1_405_326
GAIN = 4.8e-3


def singles(alone=0):
    return certificate_row(1, 1677, 0.0588, NONE, PairedCounts(1677, 0, 0, alone), (0.0, 0.01 * alone))


def pairs(baseline, candidate, counts=(5, 19, 346)):
    counts = PairedCounts(PAIRS, *counts)
    return certificate_row(2, PAIRS, 0.1267, NONE, counts, (baseline / NONE, candidate / NONE))


def certificate(*rows, distance=5):
    return distance, NONE, rows


def test_listed_sets_are_summed_by_probability():
    row = pairs(9.7e-8, 2.2e-6)
    assert row.failing == pytest.approx((9.7e-8, 2.2e-6))
    assert row.excess_ci == (row.excess,) * 2 == pytest.approx((2.2e-6 - 9.7e-8,) * 2)


def test_drawn_sets_are_weighed_by_how_likely_their_weight_is():
    row = certificate_row(2, PAIRS, 0.1267, NONE, PairedCounts(100_000, 0, 1, 3), None)
    assert row.how == "drawn"
    assert row.failing == pytest.approx((0.1267 * 1e-5, 0.1267 * 3e-5))
    low, high = row.excess_ci
    assert low < 0 < row.excess < high


def test_one_single_fault_is_a_regression_whatever_the_gain():
    assert certificate_word(*certificate(singles(1), pairs(0, 0, (0, 0, 0))), 0.5) == "regression"


@pytest.mark.parametrize(
    ("baseline", "candidate", "gain", "word"),
    [
        (9.73e-8, 2.204e-6, 4.81e-3, "traded"),  # an honest predecoder
        (9.73e-8, 9.12e-8, 2.41e-3, "traded"),  # another, that fails less than plain matching does
        (9.73e-8, 5.902e-6, 3.4e-3, "regression"),  # correlated matching, worse than plain below p = 6e-4
        (9.73e-8, 2.204e-6, 0.0, "regression"),
    ],
)
def test_the_measured_cases(baseline, candidate, gain, word):
    assert certificate_word(*certificate(singles(), pairs(baseline, candidate)), gain) == word


def test_where_correlated_matching_breaks_even_is_where_shots_say_it_does():
    share = break_even(*certificate(singles(), pairs(9.73e-8, 5.902e-6)), 3.4e-3)
    assert 3e-4 < 5e-3 * share < 1e-3
    assert share == pytest.approx((5.902e-6 - 9.73e-8) / NONE / 3.4e-3, rel=1e-6)
    assert break_even(*certificate(singles(), pairs(9.73e-8, 9.12e-8)), GAIN) is None
    assert break_even(*certificate(singles(), pairs(0, 0.1)), GAIN) == 1.0


def test_no_set_that_the_candidate_alone_fails_is_kept():
    assert certificate_word(*certificate(singles(), pairs(1e-7, 1e-7, (7, 0, 0))), GAIN) == "kept"


def test_a_loss_among_drawn_sets_must_be_shown():
    def word(alone):
        row = certificate_row(2, PAIRS, 0.1267, NONE, PairedCounts(65_536, 0, 0, alone), None)
        return certificate_word(*certificate(singles(), row), GAIN)

    # Three of 65,536 would be 5.8e-6, more than the border at 6.5e-6 allows for few; three hundred are beyond doubt.
    assert [word(n) for n in (0, 3, 300)] == ["kept", "traded", "regression"]


def test_at_distance_seven_pairs_weigh_more_than_triples():
    triple = certificate_row(3, 10**9, 0.1, NONE, PairedCounts(10_000, 0, 0, 1), (0.0, 1e-6 / NONE))
    loss = pairs(0, 1e-6)
    assert certificate_word(*certificate(singles(), loss, triple, distance=7), GAIN) == "regression"
    flat = pairs(0, 0, (0, 0, 0))
    assert certificate_word(*certificate(singles(), flat, triple, distance=7), GAIN) == "traded"
