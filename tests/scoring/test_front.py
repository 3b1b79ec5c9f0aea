"""The front against a definition, and that luck prunes nobody at equal cost."""

from hypothesis import given
from hypothesis import strategies as st

from autoqec.scoring.front import Point, dominates, front

POINTS = st.lists(
    st.tuples(st.integers(-5, 5), st.integers(0, 3), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=8
).map(lambda rows: [Point(f"r/{i}", d, (d - w, d + w), f, p) for i, (d, w, f, p) in enumerate(rows)])


@given(POINTS)
def test_the_front_is_complete_and_sound(points):
    kept = {point.name for point, _ in front(points)}
    assert kept
    for point in points:
        assert (point.name in kept) == (not any(dominates(other, point) for other in points))


@given(POINTS)
def test_dominance_is_a_strict_order_on_pairs(points):
    for a in points:
        assert not dominates(a, a)
        for b in points:
            assert not (dominates(a, b) and dominates(b, a))


def test_at_equal_cost_only_separate_intervals_decide():
    a, b, c = Point("a", 5, (4, 6), 1, 1), Point("b", 4.5, (3.5, 5.5), 1, 1), Point("c", 1, (0.5, 1.5), 1, 1)
    assert not dominates(a, b)
    assert dominates(a, c)
    assert [(p.name, beaten) for p, beaten in front([c, b, a])] == [("a", ("c",)), ("b", ("c",))]


def test_a_dearer_round_that_gains_no_more_is_dominated():
    cheap, dear = Point("cheap", 5, (4, 6), 1, 1), Point("dear", 4.9, (3.9, 5.9), 2, 1)
    assert dominates(cheap, dear)
    assert not dominates(dear, cheap)
