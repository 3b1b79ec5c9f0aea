"""What reports quote: what rounds took, the climb, shares of the gap, rates by p, and sentences whose figures are founded."""

import random

import pytest
from scipy.stats import binom

from autoqec.results.best_so_far import BestSoFar
from autoqec.results.climb_points import Climbed, climb_points
from autoqec.results.gap_share import gap_share, share_interval
from autoqec.results.quoted_figures import Named, Quoted, field_of, sentence, shows, unfounded
from autoqec.results.rates_by_p import rates_by_p
from autoqec.results.round_results import RoundResults
from autoqec.results.round_spending import Spending, cumulated, total
from autoqec.results.sought_found import OUTCOMES, Seen, outcome_of, sought_found
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import ShareOfGap
from autoqec.results.wider_comparisons import gap_closed


def test_what_rounds_took_adds_up():
    each = [Spending(seconds=2.5, calls=3, tokens=10, cost=0.25), Spending(untimed=1, unpriced=1, unread=1)]
    assert cumulated(each) == [each[0], Spending(2.5, 1, calls=3, tokens=10, cost=0.25, unpriced=1, unread=1)]
    assert total(each) == cumulated(each)[-1]
    assert total([]) == Spending()
    assert Spending(seconds=0.12345, cost=0.12345678).to_json() | {"seconds": 0.123, "cost": 0.123457} == {
        **Spending().to_json(),
        "seconds": 0.123,
        "cost": 0.123457,
    }


def test_the_climb_counts_finished_rounds_and_all_that_was_spent():
    best = BestSoFar("r/1", 0.8, (0.7, 0.9), sure=True)
    rounds = [
        Climbed("r/1", True, Spending(seconds=5.0, cost=1.0), best),
        Climbed("r/2", False, Spending(untimed=1, cost=0.5), BestSoFar("r/1", 0.8, (0.7, 0.9), True, new=False)),
    ]
    points = climb_points(rounds)
    assert [(each.rounds, each.spent.seconds, each.spent.cost, each.new) for each in points] == [
        (1, 5.0, 1.0, True),
        (1, 5.0, 1.5, False),
    ]
    assert points[1].to_json()["best_so_far"]["round"] == "r/1"
    assert climb_points([Climbed("r/1", True, Spending(), None)])[0].to_json()["best_so_far"] is None


def test_the_interval_of_a_share_covers_the_truth():
    """Independent decoders at known rates: the true share is outside of the interval in at most one of twenty samples."""
    drawn, (plain, own, strong), shots = random.Random(5), (0.06, 0.04, 0.02), 4000
    outside = 0
    for _ in range(60):
        failures = [sum(drawn.random() < rate for _ in range(shots)) for rate in (plain, own, strong)]
        noted = gap_closed("tesseract", shots, dict(zip(("baseline", "candidate", "strong"), failures, strict=True)))
        low, high = share_interval(noted)
        assert low < noted.share < high
        outside += not low <= (plain - own) / (plain - strong) <= high
    assert outside <= 3


def test_a_share_without_a_sure_gap_has_no_interval():
    near = gap_closed("mwpm_correlated", 1000, {"baseline": 30, "candidate": 20, "strong": 25})
    assert share_interval(near) == (None, None)
    forged = ShareOfGap(
        "x", 10, {"baseline": 11, "candidate": 0, "strong": 0}, near.baseline, near.candidate, near.strong
    )
    assert share_interval(forged) == (None, None)
    assert gap_share("r/1", None) is gap_share("r/1", Verdict("FAILED", "not_better")) is None


FIGURES = {
    "shots": 10_000, "ler_baseline": 0.02, "ler_candidate": 0.01, "delta_ler": 0.01, "delta_ler_ci": [0.008, 0.012],
    "ler_ratio": 0.5, "ler_ratio_ci": [0.4, 0.6],
}  # fmt: skip
COUNTS = {"shots": 10_000, "both": 50, "baseline_only": 150, "candidate_only": 50}


def verdict(word="VERIFIED", **details):
    tested = {
        "test": COUNTS, "extension": COUNTS, "log_e_better": 9.0, "log_e_futile": 0.0, "log_e_needed": 7.0, "digests": [],
        "references": {"strong": 0.012, "weak": 0.018},
    }  # fmt: skip
    return Verdict(word, "better", {**FIGURES, **tested, "cell": {"p": 0.005, "rounds": 5}, **details})


def test_rates_stand_at_the_p_of_the_same_circuit():
    harm = [
        {
            "cell": {"p": 0.004},
            "label": "p = 0.004",
            "word": "no_harm",
            "counts": COUNTS,
            "log_e_worse": 0.0,
            "log_e_harmless": 1.0,
        }
        | FIGURES,
        {
            "cell": {"rounds": 6},
            "label": "rounds = 6",
            "word": "no_harm",
            "counts": COUNTS,
            "log_e_worse": 0.0,
            "log_e_harmless": 1.0,
        }
        | FIGURES,
    ]
    low, target = rates_by_p(RoundResults(verdict=verdict(harm=harm)))
    assert [(each.p, each.source, each.exact) for each in (low, target)] == [
        (0.004, "harm", True),
        (0.005, "target", True),
    ]
    low_end, high_end = target.plain.ler_ci  # the tails of 200 failures in 10,000 shots
    assert (binom.sf(199, 10_000, low_end), binom.cdf(200, 10_000, high_end)) == pytest.approx((0.025, 0.025))
    assert set(target.references) == {"strong", "weak"}
    assert target.to_json()["ler_ratio_ci"] == [0.4, 0.6]
    assert rates_by_p(RoundResults()) == rates_by_p(RoundResults(verdict=Verdict("FAILED", "budget_spent"))) == []


def test_every_round_has_one_outcome_and_none_is_hidden():
    told = [
        Seen("r/1", "r", "VERIFIED", RoundResults(verdict=verdict()), Spending(seconds=1.0)),
        Seen("r/2", "r", "stopped", RoundResults(), Spending(seconds=2.0)),
        Seen("s/1", "s", "open", RoundResults(), Spending(untimed=1)),
    ]
    found = sought_found(told, BestSoFar("r/1", 0.5, (0.4, 0.6), True), [("r/1", 1000)])
    assert sum(found.outcomes.values()) == found.rounds == 3
    assert (found.runs, found.figures.ler_ratio, found.flops, found.spent.seconds) == (2, 0.5, (1000, 1000), 3.0)
    assert found.reference[0] == "strong"
    failed = [Seen("r/1", "r", "FAILED", RoundResults(verdict=verdict("FAILED")), Spending())]
    nothing = sought_found(failed, None, [])
    assert nothing.nearest[0] == "r/1"
    assert nothing.to_json()["best"] is nothing.to_json()["front_flops_per_shot"] is None


@pytest.mark.parametrize(
    ("status", "results", "void", "outcome"),
    [
        ("ok", RoundResults(verdict=verdict("SUSPICIOUS")), False, "SUSPICIOUS"),
        ("interrupted", RoundResults(), True, "open"),
        ("ok", RoundResults(), True, "void"),
        ("train_error", RoundResults(), False, "stopped"),
        ("unknown", RoundResults(), False, "stopped"),
    ],
)
def test_how_a_round_came_out(status, results, void, outcome):
    assert outcome_of(status, results, void=void) == outcome
    assert outcome in OUTCOMES


@pytest.mark.parametrize(
    ("text", "value", "fits"),
    [
        ("0.617", 0.6170288, True),
        ("0.618", 0.6170288, False),
        ("548k", 547_803, True),
        ("547k", 547_803, False),
        ("200,704", 200_704, True),
        ("38.3 %", 0.38297, True),
        ("-33.2 %", -0.3318, True),
        ("+4.6", 4.62, True),
        ("4.6", -4.62, False),
        ("$1.20", 1.2041, True),
        ("7.6e-09", 7.6e-9, True),
        ("7.7e-09", 7.6e-9, False),
        ("∞", None, True),
        ("∞", 3.0, False),
        ("1", True, False),
        ("one", 1, False),
    ],
)
def test_a_figure_is_what_its_digits_say(text, value, fits):
    assert shows(text, value) == fits


def test_a_sentence_quotes_the_record_or_is_told_apart():
    record = {"r/1": {"holdout": {"ler_ratio": 0.617, "ler_ratio_ci": [0.58, None]}}}
    told = sentence(
        "Round ", Named("r/1"), " has a ratio of ", Quoted("0.62", "r/1", "holdout.ler_ratio"), " up to ",
        [Quoted("∞", "r/1", "holdout.ler_ratio_ci.1"), "."],
    )  # fmt: skip
    assert told.text == "Round r/1 has a ratio of 0.62 up to ∞."
    assert unfounded([told], record) == []
    assert len(told.quoted) == 2
    (problem,) = unfounded([sentence(Quoted("0.61", "r/1", "holdout.ler_ratio"))], record)
    assert "0.617" in problem
    assert unfounded([sentence(Quoted("0.6", "r/2", "holdout.ler_ratio"))], record)
    assert unfounded([sentence("a gain of 5 per cent")], record)
    assert field_of(record["r/1"], "holdout.ler_ratio_ci.7") is field_of("x", "y") is None
