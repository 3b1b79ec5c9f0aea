"""Who beats whom: only where the verdicts' intervals say so in every seed, and with what the seeds are worth beside it."""

import random
from itertools import count

import pytest
from scipy.stats import permutation_test

from autoqec.results.agent_comparison import ArmResult, Tried, arm_object, comparisons, randomisation_p, summarised
from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Gain
from autoqec.results.lab_front import Entrant
from autoqec.results.pareto_front import Point

NUMBERS = count()


def tried(number, gain=None, seconds=100.0, shots=200_000, flops=1000):
    if gain is None:
        return Tried(number, "ok", "FAILED", number * seconds)
    counts = PairedCounts(shots, round(0.008 * shots), round(0.005 * shots), round((0.005 - gain) * shots))
    ends, name = (gain - 0.0008, gain + 0.0008), f"r/{next(NUMBERS)}"
    standing = Entrant(name, name, Point(name, gain, ends, flops, 10))
    return Tried(number, "ok", "VERIFIED", number * seconds, Gain(gain, ends), standing, counts)


def arm(agent, seed, *rounds):
    return ArmResult(agent, seed, f"cmp-e-{agent}-s{seed}", tuple(rounds))


def test_an_agent_that_is_surely_ahead_in_every_seed_beats_the_other():
    arms = [arm("a", s, tried(1, 0.004)) for s in (1, 2)] + [arm("b", s, tried(1, 0.001)) for s in (1, 2)]
    (found,) = comparisons(arms)
    assert found.word == "a"
    assert (found.seed_p, found.better) == (0.5, None)  # two seeds say next to nothing about the agents
    assert found.alpha == pytest.approx(0.05 / 4)


def test_a_mean_difference_has_ends_that_hold_where_all_intervals_do():
    arms = [
        arm("a", 1, tried(1, 0.004)),
        arm("a", 2, tried(1, 0.004)),
        arm("b", 1, tried(1, 0.0042)),
        arm("b", 2, tried(1)),
    ]
    (found,) = comparisons(arms)
    estimate, low, high = found.mean_difference
    assert (found.word, estimate) == (None, pytest.approx(0.0019))
    assert 0 < low < estimate < high
    assert comparisons([arms[0], arm("b", 3)])[0].mean_difference is None


def test_enough_seeds_tell_which_agent_is_better_and_one_bad_seed_is_no_end():
    gains = [0.004, 0.0041, 0.0039, 0.0042, 0.004, 0.0038]
    theirs = [0.001, None, 0.0005, 0.0041, None, 0.0002]
    arms = [arm("b", s, tried(1, gain)) for s, gain in enumerate(theirs, 1)]
    arms += [arm("a", s, tried(1, gain)) for s, gain in enumerate(gains, 1)]
    (found,) = comparisons(arms)
    assert found.word is None
    assert (found.seed_p, found.better) == (2 / 64, "a")


def test_the_randomisation_test_is_scipys():
    lots = random.Random(3)
    for seeds in (1, 2, 5, 9):
        found = [lots.gauss(0.3, 1) for _ in range(seeds)]
        if seeds > 1:
            exact = permutation_test(
                (found, [0.0] * seeds), lambda a, b: sum(a) - sum(b), permutation_type="samples", n_resamples=10**5
            )
            assert randomisation_p(found) == pytest.approx(exact.pvalue)
    assert randomisation_p([]) == 1.0
    many = [lots.gauss(0.0, 1) + 1 for _ in range(30)]
    assert randomisation_p(many) == randomisation_p(many) < 0.01


@pytest.mark.parametrize(
    "theirs", [(tried(1, 0.0038), tried(1, 0.001)), (tried(1, 0.001), tried(1, 0.0042))], ids=["close", "one seed"]
)
def test_anything_less_is_undecided(theirs):
    arms = [arm("a", s, tried(1, 0.004)) for s in (1, 2)] + [
        arm("b", s, r) for s, r in zip((1, 2), theirs, strict=True)
    ]
    assert comparisons(arms)[0].word is None


def test_more_verdicts_make_wider_intervals():
    near = [arm("a", 1, tried(1, 0.0035)), arm("b", 1, tried(1, 0.0021))]
    assert comparisons(near)[0].word == "a"
    many = [arm(agent, 1, *(tried(n, gain) for n in range(1, 150))) for agent, gain in (("a", 0.0035), ("b", 0.0021))]
    assert comparisons(many)[0].word is None


def test_agents_are_compared_at_as_many_rounds_as_both_have():
    late = [arm("a", 1, tried(1), tried(2, 0.004)), arm("b", 1, tried(1, 0.001))]
    assert comparisons(late)[0].to_json()["per_seed"] == [{"seed": 1, "rounds": 1, "winner": "b"}]
    assert comparisons([late[0], arm("b", 1)])[0].word is None


def test_an_arm_without_a_verified_round_has_the_plain_decoder():
    arms = [arm("a", 1, tried(1, 0.004)), arm("b", 1, tried(1))]
    assert comparisons(arms)[0].word == "a"
    figures = summarised(arms[1:])
    assert (figures.best, figures.mean, figures.front, figures.verified) == (None, 0.0, 0, 0)
    assert comparisons([arms[1], arm("c", 1, tried(1))])[0].word is None
    assert comparisons([arms[0], arm("c", 2, tried(1))])[0].word is None, "no seed in common"


def test_figures_of_an_agent_are_those_of_its_best_rounds():
    arms = [
        arm("a", 1, tried(1, 0.002), tried(2, 0.004), tried(3, 0.003)),
        arm("a", 2, tried(1), tried(2, 0.001), tried(3)),
    ]
    found = summarised(arms)
    assert found.best.round == "cmp-e-a-s1/2"
    assert found.mean == pytest.approx(0.0025)
    assert found.spread == pytest.approx(0.003 / 2**0.5)
    assert (found.verified, found.rounds, found.rounds_to_best, found.seconds_to_best) == (4, 6, 2, 200)
    so_far = [row["best_so_far"] for row in arm_object(arms[0])["rounds"]]
    assert so_far == [0.002, 0.004, 0.004]
