"""What a round takes is the sum of its measured parts, and never more than its limits."""

import json
from dataclasses import replace

import pytest

from autoqec.results.round_plan import MeasuredRound
from autoqec.views.dry_run_text import part_rows

MEASURED = MeasuredRound(
    candidate="the candidate of r-abcd/3", train_per_second=10_000.0, train_shots=400_000, train_at_most=300.0, train_started=1.5,
    started=2.0, score_per_second=20_000.0, judge_per_second=40_000.0, score_shots=131_072, screen_shots=16_384,
    verify_shots=2_000_000, verify_at_most=600.0, verify_before=None,
)  # fmt: skip


def test_a_round_is_the_sum_of_its_parts():
    assert (MEASURED.train, MEASURED.is_cut) == (41.5, False)
    assert MEASURED.screen == pytest.approx(2 + 2 * 16_384 / 40_000)
    assert MEASURED.score == pytest.approx(2 + 131_072 / 20_000)
    assert MEASURED.test_at_most == pytest.approx(52.0)
    assert MEASURED.without_verification == pytest.approx(41.5 + MEASURED.screen + MEASURED.score)
    assert MEASURED.at_most == pytest.approx(300 + MEASURED.screen + MEASURED.score + 52)
    row = MEASURED.to_row()
    assert (row["train_seconds"], row["test_seconds_at_most"], row["score_seconds"]) == (41.5, 52.0, 8.554)
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_limits_hold():
    slow = replace(MEASURED, train_per_second=100.0, judge_per_second=100.0, screen_shots=0)
    assert (slow.train, slow.is_cut, slow.test_at_most, slow.screen) == (300.0, True, 600.0, 0.0)
    assert replace(slow, verify_at_most=None).test_at_most == 20_002.0
    unknown = replace(MEASURED, train_per_second=None)
    assert (unknown.train, unknown.without_verification) == (None, 300 + MEASURED.screen + MEASURED.score)


def test_it_says_what_is_measured_and_what_is_a_limit():
    assert [*part_rows(MEASURED)] == [
        ("training", "about 42 s", "400,000 shots at 10,000 shots/s, 1.5 s to start; limit 5 min"),
        ("screen", "about 2.8 s", "16,384 shots, twice; only where it can save more than it takes"),
        ("scoring", "about 8.6 s", "131,072 shots at 20,000 shots/s, 2 s to start"),
        ("test", "at most 52 s", "at most 2,000,000 shots or 10 min, at 40,000 shots/s"),
    ]
    others = replace(
        MEASURED, train_per_second=None, started=0.0, screen_shots=0, verify_at_most=None, verify_before=21.0,
        without_candidate=True,
    )  # fmt: skip
    assert [*part_rows(others)] == [
        ("training", "at most 5 min", "it could not be measured; limit 5 min"),
        ("scoring", "about 6.6 s", "131,072 shots at 20,000 shots/s; decoders alone, without the candidate"),
        ("test", "at most 50 s", "at most 2,000,000 shots, at 40,000 shots/s; earlier verifications took 21 s"),
    ]
    untrained = replace(others, train_shots=0)
    assert untrained.train == 1.5
    assert next(part_rows(untrained)) == (
        "training",
        "about 1.5 s",
        "the candidate is not trained, or its shots make no step",
    )
    assert next(part_rows(replace(MEASURED, train_per_second=100.0)))[2].endswith("; cut to fit its limit")
