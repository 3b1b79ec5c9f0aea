"""What follows from the joint counts of a comparison: rates, pairs, words and when it is decided."""

import math

import pytest

from autoqec.results.decoder_comparison import (
    NOT_BETTER_RATIO,
    ComparedDecoder,
    ComparedPart,
    ComparedShots,
    ComparedSource,
    Comparison,
    Failed,
)
from autoqec.results.statistics import log_e_better, log_e_worse, rate_interval, ratio_interval


def part(shots, failed, took=0b111, decoders=3):
    none = (0,) * decoders
    return ComparedPart(
        shots, "0" * 64, took, {str(mask): n for mask, n in failed.items()}, ("",) * decoders, none, none
    )


def comparison(*parts, decoders=3, **more):
    named = tuple(ComparedDecoder(f"d{place}", {}) for place in range(decoders))
    source = ComparedSource("circuit", "it", "0" * 64, "f", 8, 9, 1)
    return Comparison(named, source, ComparedShots("keyed", "0" * 64), parts, **more)


ONE = part(1000, {0b001: 5, 0b010: 7, 0b011: 11, 0b111: 13, 0b100: 17})
TWO = part(500, {0b001: 2, 0b011: 3}, took=0b011)


def test_every_pair_follows_from_the_joint_counts():
    found = comparison(ONE, TWO)
    assert (found.total, found.rate(0).failures, found.rate(1).failures, found.rate(2).failures) == (1500, 34, 34, 30)
    assert (found.rate(2).shots, found.rate(0).rate) == (1000, 34 / 1500)
    assert (found.rate(0).low, found.rate(0).high) == rate_interval(34, 1500)
    assert vars(found.counts(0, 1)) == {"shots": 1500, "both": 27, "baseline_only": 7, "candidate_only": 7}
    assert vars(found.counts(0, 2)) == {"shots": 1000, "both": 13, "baseline_only": 16, "candidate_only": 17}
    assert found.together() == {(0,): 5, (0, 1): 11, (0, 1, 2): 13, (1,): 7, (2,): 17}


def test_pairs_begin_with_the_baseline_and_share_the_error_budget():
    found = comparison(ONE, baseline=1)
    pairs = list(found.pairs())
    assert [(pair.base, pair.other) for pair in pairs] == [(1, 0), (1, 2), (0, 2)]
    assert found.pair_alpha == pytest.approx(0.05 / 3)
    assert found.needed == pytest.approx(60)
    for pair in pairs:
        assert pair.interval == ratio_interval(pair.counts, 0.05 / 3)
        assert pair.log_e_better == log_e_better(pair.counts)
        assert pair.log_e_not_better == log_e_worse(pair.counts, NOT_BETTER_RATIO)


@pytest.mark.parametrize(
    ("failed", "word"),
    [({0b01: 40, 0b10: 4}, "better"), ({0b01: 4, 0b10: 40}, "not better"), ({0b01: 5, 0b10: 4}, "undecided")],
)
def test_a_word_needs_its_evidence(failed, word):
    found = comparison(part(1000, failed, 0b11, 2), decoders=2)
    (pair,) = found.pairs()
    assert pair.word == word
    needed = math.log(20)
    assert (pair.log_e_better >= needed, pair.log_e_not_better >= needed) == (word == "better", word == "not better")
    assert found.decided() is (word != "undecided")


def test_equal_decoders_are_not_better_in_the_end():
    found = comparison(part(10**6, {0b11: 1000}, 0b11, 2), decoders=2)
    assert [pair.word for pair in found.pairs()] == ["not better"]


def test_a_decoder_that_failed_has_no_word_and_nobody_waits_for_it():
    found = comparison(ONE).with_decoder(2, failed=Failed("crash", "it ended"))
    words = {(pair.base, pair.other): pair.word for pair in found.pairs()}
    assert words[0, 2] == words[1, 2] == "failed"
    assert found.together() == {(0,): 5, (0, 1): 24, (1,): 7}


def test_nobody_waits_for_a_decoder_that_had_all_its_shots():
    found = comparison(part(1000, {0b01: 1}, 0b11, 2), decoders=2)
    assert not found.decided()
    assert found.with_decoder(1, most_shots=1000).decided()


def test_without_counts_there_is_no_rate_and_no_word():
    found = comparison()
    assert found.rate(0) is None
    assert not found.decided()
    assert {pair.word for pair in found.pairs()} == {"undecided"}
    assert next(found.pairs()).interval == (0.0, None)
