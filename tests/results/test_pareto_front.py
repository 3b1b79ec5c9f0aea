"""The front against its definition, and that luck prunes nobody."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoqec.results.pareto_front import Point, dominates, front

POINTS = st.lists(
    st.tuples(st.integers(-5, 5), st.integers(0, 3), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=8
).map(lambda rows: [Point(f"r/{i}", d, (d - w, d + w), f, p) for i, (d, w, f, p) in enumerate(rows)])


def scattered(seed, count, costs):
    """Points as a long run leaves them; with few costs, many are equal in one or both."""
    draw = random.Random(seed)
    for i in range(count):
        gain, width = draw.gauss(0, 1), draw.uniform(0, 1)
        yield Point(f"r/{i}", gain, (gain - width, gain + width), draw.randrange(costs), draw.randrange(costs))


def check(points):
    """Complete: whoever is not on it is dominated by one who is. Sound: nobody on it is dominated by anybody."""
    members = front(points)
    kept = {member.point.name for member in members}
    for point in points:
        assert (point.name in kept) == (not any(dominates(other, point) for other in points))
        if point.name not in kept:
            assert any(dominates(member.point, point) for member in members)
    for member in members:
        assert member.dominates == tuple(sorted(p.name for p in points if dominates(member.point, p)))
    gains = [member.point.delta_ler for member in members]
    assert gains == sorted(gains, reverse=True)
    return members


@given(POINTS)
def test_the_front_is_complete_and_sound(points):
    assert check(points)


@pytest.mark.parametrize("costs", [1, 6, 10**6])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_so_for_hundreds_of_points(seed, costs):
    points = list(scattered(seed, 250, costs))
    members = check(points)
    assert {m.point.name for m in front(points[::-1])} == {m.point.name for m in members}


@given(POINTS)
def test_dominance_is_a_strict_order(points):
    for a in points:
        assert not dominates(a, a)
        for b in points:
            assert not (dominates(a, b) and dominates(b, a))
            for c in points:
                assert dominates(a, c) or not (dominates(a, b) and dominates(b, c))


@given(POINTS, st.randoms(use_true_random=False))
def test_confirmed_members_are_on_the_front_wherever_the_truth_is(points, draw):
    truth = {p.name: draw.uniform(*p.interval) for p in points}
    for member in front(points):
        better = [
            o
            for o in points
            if o is not member.point
            and (o.flops <= member.point.flops and o.params <= member.point.params)
            and truth[o.name] >= truth[member.point.name]
        ]
        assert not (member.confirmed and better)


def test_only_separate_intervals_decide():
    a, b, c = Point("a", 5, (4, 6), 1, 1), Point("b", 4.5, (3.5, 5.5), 1, 1), Point("c", 1, (0.5, 1.5), 1, 1)
    assert not dominates(a, b)
    assert dominates(a, c)
    assert [(m.point.name, m.dominates, m.confirmed) for m in front([c, b, a])] == [
        ("a", ("c",), False),
        ("b", ("c",), False),
    ]


def test_a_dearer_round_stays_until_it_surely_gains_less():
    cheap = Point("cheap", 5, (4, 6), 1, 1)
    for dear, stays in ((Point("dear", 4.9, (3.9, 5.9), 2, 1), True), (Point("dear", 2.9, (1.9, 3.9), 2, 1), False)):
        members = front([cheap, dear])
        assert [m.point.name for m in members] == ["cheap", "dear"][: 1 + stays]
        assert members[0].confirmed
        assert not any(member.confirmed for member in members[1:])


def test_a_worse_round_stays_if_it_is_cheaper_in_anything():
    points = [Point("a", 5, (4, 6), 2, 2), Point("b", 1, (0.5, 1.5), 1, 3), Point("c", 1, (0.5, 1.5), 3, 1)]
    assert [(m.point.name, m.confirmed) for m in front(points)] == [("a", True), ("b", True), ("c", True)]
