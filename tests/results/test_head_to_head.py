"""Head to head: the words of a pair, and what they make of a front."""

import numpy as np
import pytest

from autoqec.results.counts import PairedCounts
from autoqec.results.head_to_head import DOMINATES, STAYS, head_to_head_words, open_pairs, pair_alpha, settle
from autoqec.results.pareto_front import Point, front


def point(name, gain, flops=10, width=1.0):
    return Point(name, gain, (gain - width, gain + width), flops, 10)


CHEAP, DEAR, TWIN = point("r/1", 4.0, flops=1), point("r/2", 4.2), point("r/3", 4.1)
AHEAD, BEHIND, EVEN = (
    PairedCounts(10**6, 9000, 900, 300),
    PairedCounts(10**6, 9000, 300, 900),
    PairedCounts(10**6, 0, 9, 9),
)
#: As many failures, and shown to be less than 1.01 times as many.
LEVEL = PairedCounts(10**8, 3_000_000, 3000, 3000)


@pytest.mark.parametrize(
    ("a", "b", "counts", "words"),
    [
        (CHEAP, DEAR, AHEAD, {("r/1", "r/2"): DOMINATES}),
        (CHEAP, DEAR, BEHIND, {("r/1", "r/2"): STAYS}),
        (CHEAP, DEAR, EVEN, {}),
        (CHEAP, DEAR, LEVEL, {("r/1", "r/2"): DOMINATES}),  # no worse, and cheaper
        (DEAR, TWIN, LEVEL, {}),  # no worse at the same cost says nothing
        (DEAR, TWIN, AHEAD, {("r/2", "r/3"): DOMINATES, ("r/3", "r/2"): STAYS}),
        (DEAR, TWIN, BEHIND, {("r/2", "r/3"): STAYS, ("r/3", "r/2"): DOMINATES}),
    ],
)
def test_the_words_of_a_pair(a, b, counts, words):
    assert head_to_head_words(a, b, counts, 0.05) == words


def test_a_pair_that_does_not_differ_is_seldom_decided():
    rng = np.random.default_rng(1)
    draws = rng.multinomial(400_000, [0.008, 0.001, 0.001, 0.99], size=500)
    decided = [bool(head_to_head_words(DEAR, TWIN, PairedCounts(400_000, *map(int, row[:3])), 0.05)) for row in draws]
    assert np.mean(decided) <= 0.05


def settled(words, points=(CHEAP, DEAR, TWIN)):
    return {m.point.name: m for m in settle(front(points), words)}


def test_who_is_dominated_goes_and_who_has_no_rival_left_is_confirmed():
    assert {name: m.confirmed for name, m in settled({}).items()} == {"r/1": True, "r/2": False, "r/3": False}
    found = settled({("r/1", "r/2"): STAYS, ("r/1", "r/3"): DOMINATES})
    assert {name: (m.dominates, m.confirmed) for name, m in found.items()} == {
        "r/1": (("r/3",), True), "r/2": ((), True),
    }  # fmt: skip
    assert set(settled({("r/1", "r/2"): STAYS})) == {"r/1", "r/2", "r/3"}
    assert not settled({("r/1", "r/2"): STAYS})["r/2"].confirmed, "the twin may still gain as much"


def test_words_that_contradict_each_other_or_name_others_prune_nobody():
    assert len(settled({("r/2", "r/3"): DOMINATES, ("r/3", "r/2"): DOMINATES})) == 3
    assert len(settled({("r/9", "r/2"): DOMINATES, ("r/2", "r/2"): DOMINATES})) == 3


def test_each_pair_is_open_once_until_it_is_decided():
    names = [(a.name, b.name) for a, b in open_pairs(front([CHEAP, DEAR, TWIN]), {})]
    assert sorted(map(sorted, names)) == [["r/1", "r/2"], ["r/1", "r/3"], ["r/2", "r/3"]]
    words = {("r/1", "r/2"): STAYS, ("r/1", "r/3"): STAYS, ("r/2", "r/3"): DOMINATES, ("r/3", "r/2"): STAYS}
    assert open_pairs(front([CHEAP, DEAR, TWIN]), words) == []
    far = point("r/4", 9.0)
    assert open_pairs(front([CHEAP, far]), {}) == [], "intervals that do not meet need no shots"


def test_the_level_is_shared_by_all_pairs():
    assert pair_alpha(5) * 20 == pytest.approx(0.05)
    assert pair_alpha(1) == 0.05


def test_finding_the_open_pairs_of_equals_compares_no_pair_with_all_others(monkeypatch):
    """A lab whose rounds differ in their training alone has one cost: 250 such rounds took minutes."""
    members = front([point(f"r/{number}", 4.0) for number in range(40)])
    compared = []
    equal = Point.__eq__
    monkeypatch.setattr(Point, "__eq__", lambda a, b: compared.append(1) or equal(a, b))
    pairs = open_pairs(members, {})
    assert len(pairs) == 40 * 39 / 2
    assert len({frozenset((a.name, b.name)) for a, b in pairs}) == len(pairs)
    assert len(compared) < 10 * len(pairs)
