"""How often the verifier's test is right, by simulation: its own code on counts that are drawn and not decoded.

The small versions run always and have wide bounds; the large ones, marked slow, have 2,000 runs each.
"""

from itertools import accumulate

import numpy as np
import pytest
from autoqec_plugins.holdout import sequential
from autoqec_plugins.holdout.sequential import MIN_SHOTS, Plan, looks, test_cell
from autoqec_plugins.holdout.spending import Spending

from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import BETS, PLANNED_ATTEMPTS, attempt_alpha, log_e_better
from autoqec.scoring.score_stream import Scored

test_cell.__test__ = False

LARGE = 2000


def runs(small):
    """A small number of runs, and 2,000 of them for the stress session."""
    return pytest.mark.parametrize("count", [small, pytest.param(LARGE, marks=pytest.mark.slow)])


class Drawn:
    """A stream whose counts are multinomial: a candidate of a true ratio, `overlap` of whose failures the baseline shares."""

    def __init__(self, rng, ratio, ler=0.014, overlap=0.7):
        self.rng = rng
        both = overlap * min(ratio, 1) * ler
        self.p = [both, ler - both, ratio * ler - both]

    def score(self, first, chunks, *, references=False, progress=None):
        shots = chunks * CHUNK_SHOTS
        both, plain, own, _ = map(int, self.rng.multinomial(shots, [*self.p, 1 - sum(self.p)]))
        return Scored(counts=PairedCounts(shots, both, plain, own), chunks=chunks)


@pytest.fixture(autouse=True)
def _without_figures(monkeypatch):
    """A test's word alone, by the rule that writes it into a verdict: intervals take longer than all else here."""
    monkeypatch.setattr(
        sequential, "_tested", lambda test, extension, plan, *rest: sequential.test_word(test.counts, plan.alpha)
    )


def judge(rng, ratio, alpha, max_shots=10_000_000):
    plan = Plan(alpha, MIN_SHOTS, max_shots, CHUNK_SHOTS)
    found = test_cell(Drawn(rng, ratio), plan, Spending(None), lambda event: None, references=False, cell=None)
    return found.tested, found.test.counts.shots


def beyond(share, count):
    """Three standard deviations above a share."""
    return share + 3 * (share * (1 - share) / count) ** 0.5


@runs(300)
def test_a_null_candidate_is_seldom_better_even_if_one_looks_at_every_shot(count):
    """At ratio 1 only the shots matter on which one side alone fails, and each is a fair coin."""
    rng, alpha, crossed = np.random.default_rng(1), 0.05, 0
    bets = np.array(BETS)
    for _ in range(count):
        wins = np.cumsum(rng.random(4000) < 0.5)
        losses = np.arange(1, 4001) - wins
        log_e = wins[:, None] * np.log1p(bets) + losses[:, None] * np.log1p(-bets)
        crossed += bool((np.logaddexp.reduce(log_e, axis=1) - np.log(len(bets)) >= np.log(1 / alpha)).any())
    last = PairedCounts(10**6, 0, int(wins[-1]), int(losses[-1]))
    assert np.logaddexp.reduce(log_e[-1]) - np.log(len(bets)) == pytest.approx(log_e_better(last))
    assert crossed / count <= beyond(alpha, count)


@runs(100)
def test_the_whole_test_calls_a_null_candidate_better_at_most_as_often_as_its_level(count):
    rng = np.random.default_rng(2)
    words = [judge(rng, 1.0, 0.05)[0] for _ in range(count)]
    assert words.count("better") / count <= beyond(0.05, count)
    assert words.count("not_better") / count > 0.9, "and most are given up before ten million shots"


@pytest.mark.parametrize(
    ("ratio", "power", "mean_shots"),
    [(0.98, 0.7, 950_000), (0.95, 0.98, 230_000), (0.9, 0.999, 90_000), (0.7, 1.0, 49_152)],
)
@runs(40)
def test_power_and_mean_shots(ratio, power, mean_shots, count):
    """At a rate of 1.4e-2 and level 0.05, 0.7 of the failures shared; a ratio of 0.7 is decided at the first look."""
    rng = np.random.default_rng(3)
    found = [judge(rng, ratio, 0.05) for _ in range(count)]
    assert np.mean([word == "better" for word, _ in found]) >= power - 3 * (power * (1 - power) / count) ** 0.5
    shots = [spent for _, spent in found]
    assert np.mean(shots) <= mean_shots + 3 * np.std(shots) / count**0.5


def test_a_ratio_of_0_7_is_decided_at_the_first_look_at_the_level_of_a_runs_first_attempt():
    rng = np.random.default_rng(4)
    assert [judge(rng, 0.7, attempt_alpha(0.05, 1)) for _ in range(50)] == [("better", 49_152)] * 50
    assert next(looks(10**7, MIN_SHOTS)) == (0, 12)


def one_run(rng, ratios):
    """False and true discoveries of a run whose candidates have these ratios, each at the level of its attempt."""
    false = true = 0
    for attempt, ratio in enumerate(ratios, 1):
        word, _ = judge(rng, ratio, attempt_alpha(0.05, attempt), max_shots=1_000_000)
        false += word == "better" and ratio >= 1
        true += word == "better" and ratio < 1
    return false, true


@runs(10)
def test_a_run_of_64_null_candidates_has_a_false_discovery_at_most_one_time_in_twenty(count):
    rng = np.random.default_rng(5)
    found = [one_run(rng, [1.0] * PLANNED_ATTEMPTS) for _ in range(count)]
    assert sum(false > 0 for false, _ in found) / count <= beyond(0.05, count)


@runs(5)
def test_null_candidates_among_good_ones_stay_few(count):
    """Good ones earn the later candidates nothing: anyone could write that there were some."""
    rng = np.random.default_rng(6)
    found = [one_run(rng, rng.permutation([1.0] * 32 + [0.7] * 32)) for _ in range(count)]
    assert np.mean([true for _, true in found]) == pytest.approx(32, abs=0.5)
    shares = [false / max(1, false + true) for false, true in found]
    assert np.mean(shares) <= 0.05 + 3 * np.std(shares) / count**0.5


def test_looks_cover_the_stream_without_gap_or_overlap():
    for max_shots, min_shots in ((10_000_000, 50_000), (60_000, 50_000), (8192, 50_000), (1_000_000, 4096)):
        parts = list(looks(max_shots, min_shots))
        assert [first for first, _ in parts] == [0, *accumulate(chunks for _, chunks in parts[:-1])]
        assert sum(chunks for _, chunks in parts) == -(-max_shots // CHUNK_SHOTS)
