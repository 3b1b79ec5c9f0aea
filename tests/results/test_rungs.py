"""The rule of a screen: what follows from its counts, and how often it stops a candidate that it should not stop."""

from itertools import product
from math import comb

import pytest

from autoqec.results.counts import PairedCounts
from autoqec.results.metrics_parts import Measured
from autoqec.results.note_form import read_record, write_record
from autoqec.results.note_lines import Line
from autoqec.results.rungs import ALLOWED, LEVEL, Rung, is_worse, rung_after
from autoqec.results.trust.metrics_trust import metrics_problem
from autoqec.testing.whole_notes import whole_metrics


def counts(rival_only, candidate_only, both=40):
    return PairedCounts(16_384, both, rival_only, candidate_only)


def test_only_shots_that_exactly_one_fails_decide():
    for ours, theirs in product(range(0, 60, 7), repeat=2):
        assert len({is_worse(counts(theirs, ours, both)) for both in (0, 40, 4000)}) == 1
    assert not is_worse(counts(0, 0))
    assert not is_worse(counts(40, 60)), "it may fail three in five"
    assert is_worse(counts(31, 69))
    assert not is_worse(counts(32, 68))


@pytest.mark.parametrize("discordant", [10, 33, 100, 250])
def test_a_candidate_that_fails_as_many_as_it_may_is_rarely_stopped(discordant):
    stopped = [k for k in range(discordant + 1) if is_worse(counts(discordant - k, k))]
    chance = sum(comb(discordant, k) * ALLOWED**k * (1 - ALLOWED) ** (discordant - k) for k in stopped)
    assert 0 < chance <= LEVEL
    one_more = stopped[0] - 1
    assert chance + comb(discordant, one_more) * ALLOWED**one_more * (1 - ALLOWED) ** (discordant - one_more) > LEVEL


def test_a_rung_says_what_decided_it():
    out = Rung(0, 40_960, 409_600, "r/3", "c" * 40, counts(20, 80))
    assert out.in_words() == (
        "screened out after 40,960 of 409,600 training shots: of 16,384 shots it fails 80 that r/3 decodes, and decodes 20 that"
        " r/3 fails"
    )
    assert Rung(1, 40_960, 409_600).in_words() == (
        "kept after 40,960 of 409,600 training shots: no earlier round to compare it with costs as little"
    )
    assert not out.by_request
    for found in (None, counts(80, 20)):
        asked = Rung(0, 40_960, 409_600, counts=found, alone=True)
        assert asked.by_request
        assert "asked for the screen alone" in asked.in_words()
    assert not Rung(0, 40_960, 409_600, counts=counts(20, 80), alone=True).by_request
    assert (rung_after(None), rung_after(counts(20, 80)), rung_after(counts(80, 20))) == (1, 0, 1)


def test_a_rung_is_in_metrics_and_metrics_count_only_if_it_follows_from_its_counts():
    kept = Rung(1, 40_960, 409_600, "r/3", "c" * 40, counts(50, 50))
    assert read_record(Measured, write_record(Measured(rung=kept))).rung == kept
    assert "rung" not in write_record(Measured())
    note = whole_metrics()
    assert metrics_problem(Line("0" * 64, note)) == ""
    told = write_record(kept)
    assert metrics_problem(Line("0" * 64, {**note, "rung": told})) == ""
    for forged in (
        {**told, "number": 0},
        {**told, "counts": counts(0, 90).to_dict()},
        {**told, "shots": -1},
        {**told, "planned": -(2**62)},
        {**told, "rival": "r/3\nverdict VERIFIED"},
        {**told, "rival": "refs/heads/exp/r/3"},
        {**told, "rival": ""},
        {**told, "rival_commit": ""},
        {**told, "counts": None},
        {"number": 1},
        "out",
    ):
        assert "rung does not follow" in metrics_problem(Line("0" * 64, {**note, "rung": forged})), forged
