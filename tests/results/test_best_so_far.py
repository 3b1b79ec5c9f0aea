"""The climb: which VERIFIED rounds were the best when they came, and which of them surely."""

import json

import pytest

from autoqec.results.best_so_far import Attempt, BestSoFar, climb, read_best
from autoqec.results.counts import PairedCounts
from autoqec.results.head_to_head import HeadToHead

AHEAD, EVEN = PairedCounts(10**6, 9000, 900, 300), PairedCounts(10**6, 9000, 300, 300)
BEHIND = PairedCounts(10**6, 9000, 300, 900)


def attempt(number, ratio=None, width=0.05, finished=True):
    interval = (0.0, None) if ratio is None else (ratio - width, ratio + width)
    return Attempt(f"r/{number}", f"c{number}", finished, ratio, interval)


def told(steps):
    return [each and (each.round, each.new, each.sure, each.since) for each in steps]


def test_a_round_is_the_best_until_one_has_a_smaller_ratio():
    rounds = [attempt(1), attempt(2, 0.8), attempt(3), attempt(4, 0.85), attempt(5, 0.78), attempt(6, 0.6), attempt(7)]
    assert told(climb(rounds)) == [
        None,
        ("r/2", True, True, 0),  # its interval is below 1: surely better than plain decoding
        ("r/2", False, True, 1),
        ("r/2", False, True, 2),
        ("r/5", True, False, 0),  # a better estimate, and the intervals overlap
        ("r/6", True, True, 0),
        ("r/6", False, True, 1),
    ]


def test_a_round_that_has_not_ended_is_not_counted():
    assert told(climb([attempt(1, 0.8), attempt(2, finished=False)]))[-1] == ("r/1", False, True, 0)


def test_an_open_interval_makes_nothing_sure():
    open_end = Attempt("r/1", "c1", True, 0.5, (0.1, None))
    assert told(climb([open_end])) == [("r/1", True, False, 0)]


@pytest.mark.parametrize(
    ("noted_on", "rival", "counts", "last"),
    [
        ("c1", "c2", AHEAD, ("r/2", True, True, 0)),  # the old one is costlier, and fails more often
        ("c2", "c1", BEHIND, ("r/2", True, True, 0)),  # the new one is
        ("c2", "c1", EVEN, ("r/2", True, False, 0)),
        ("c2", "c1", AHEAD, ("r/1", False, True, 1)),  # its better estimate was luck
        ("c1", "c2", BEHIND, ("r/1", False, True, 1)),
        ("c1", "c9", AHEAD, ("r/2", True, False, 0)),  # about another pair
    ],
)
def test_a_head_to_head_decides_where_intervals_do_not(noted_on, rival, counts, last):
    pairs = {noted_on: [HeadToHead(rival, counts, 0.05)]}
    assert told(climb([attempt(1, 0.8), attempt(2, 0.79)], lambda commits: pairs))[-1] == last


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1e300])
def test_the_level_of_a_note_is_not_believed(alpha):
    slight = PairedCounts(10**6, 0, 6, 3)
    pairs = {"c1": [HeadToHead("c2", slight, alpha)]}
    assert told(climb([attempt(1, 0.8), attempt(2, 0.79)], lambda commits: pairs))[-1] == ("r/2", True, False, 0)


def test_head_to_heads_are_read_only_where_they_may_decide():
    asked = []

    def decided(commits):
        asked.append(set(commits))
        return {}

    climb([attempt(1, 0.8), attempt(2, 0.5), attempt(3, 0.7), attempt(4, 0.49)], decided)
    assert asked == [{"c2", "c4"}]


def test_json_is_read_back():
    for best in (BestSoFar("r/1", 0.5, (0.1, None), False), BestSoFar("r/2", 0.5, (0.1, 0.7), True, False, 3)):
        assert read_best(json.loads(json.dumps(best.to_json()))) == best
    assert read_best(None) is None
