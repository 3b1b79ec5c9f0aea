"""Do-no-harm words, and the slope of the rates between two p."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from autoqec.results.counts import PairedCounts
from autoqec.results.decision import cell_result
from autoqec.results.harm import harm_counted, harm_word, slope_of, two_p_slope
from autoqec.results.statistics import log_e_better, log_e_worse
from autoqec.results.verdict_parts import Evidence, HarmCell


@pytest.mark.parametrize(
    ("counts", "word"),
    [((230, 240, 80), "no_harm"), ((230, 80, 240), "harm"), ((230, 80, 80), "unknown"), ((0, 0, 0), "unknown")],
)
def test_the_words(counts, word):
    paired = PairedCounts(32_768, *counts)
    counted = harm_counted(paired)
    assert harm_word(paired) == word
    assert counted.log_e_worse == pytest.approx(log_e_worse(paired), abs=1e-6)
    assert counted.log_e_harmless == pytest.approx(log_e_better(paired, 1.1), abs=1e-6)


def test_a_candidate_as_good_as_the_baseline_is_rarely_called_harmful():
    rng = np.random.default_rng(4)
    draws = rng.multinomial(32_768, [0.005, 0.002, 0.002, 0.991], size=2000)
    assert np.mean([harm_word(PairedCounts(32_768, *map(int, row[:3]))) == "harm" for row in draws]) <= 0.05


def draw(rng, shots, baseline, candidate, overlap=0.7):
    both = overlap * min(baseline, candidate)
    p = [both, baseline - both, candidate - both]
    return PairedCounts(shots, *map(int, rng.multinomial(shots, [*p, 1 - sum(p)])[:3]))


def test_the_slopes_are_the_logarithms_quotients_and_their_interval_covers():
    rng, covered = np.random.default_rng(5), 0
    difference = log(0.72 / 0.62) / log(1.5)
    for _ in range(1000):
        low, high = draw(rng, 32_768, 0.007, 0.62 * 0.007), draw(rng, 32_768, 0.0215, 0.72 * 0.0215)
        found = two_p_slope((0.004, low), (0.006, high))
        assert found.difference == pytest.approx(found.candidate - found.baseline)
        covered += found.ci[0] <= difference <= found.ci[1]
    assert 930 <= covered <= 970
    assert found.baseline == pytest.approx(log(high.ler_baseline / low.ler_baseline) / log(1.5))


def test_a_gain_that_shrinks_towards_low_p_is_flatter():
    low, high = PairedCounts(10**6, 500, 100, 400), PairedCounts(10**6, 9000, 4000, 1000)
    assert two_p_slope((0.004, low), (0.006, high)).word == "flatter"
    assert two_p_slope((0.004, high), (0.006, high)).word == "kept"
    assert two_p_slope((0.004, PairedCounts(100)), (0.006, high)) is None


def test_the_slope_is_taken_between_the_outermost_p():
    counts = PairedCounts(32_768, 100, 100, 50)
    rows = (
        HarmCell({"p": 0.004}, "p = 0.004", "no_harm", counted=harm_counted(counts)),
        HarmCell({"p": 0.008}, "p = 0.008", "harm"),
        HarmCell({"rounds": 4}, "rounds = 4", "no_harm", counted=harm_counted(counts)),
    )
    target = cell_result(PairedCounts(32_768), 0.05, (), extension=counts)
    evidence = Evidence(cell={"p": 0.005, "rounds": 5}, target=target, harm=rows)
    assert slope_of(evidence).p == (0.004, 0.005)
    assert slope_of(replace(evidence, harm=rows[1:])) is None
    assert slope_of(replace(evidence, cell={}, harm=())) is None
