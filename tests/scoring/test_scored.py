"""Sums of scored shots: associative, with an identity, in order; everything adds, and the fewest layers count."""

from dataclasses import fields, replace
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from autoqec.results.counts import PairedCounts
from autoqec.results.failure_bands import FailureBand
from autoqec.results.gate_costs import UsPerShot
from autoqec.sandbox.lock import Lock
from autoqec.scoring.reference_runs import ReferenceRun
from autoqec.scoring.scored import Scored, total
from autoqec.scoring.shard import ChunkScore
from autoqec.scoring.strata_tally import StrataTally

BANDS = (FailureBand("gap", 2.0, 40, 6, 5), FailureBand("gap", None, 24, 1, 0))
TALLY = StrataTally((PairedCounts(3, 1, 0, 0),), ((0.5, 0.25),), (PairedCounts(5, 0, 2, 1),))
COUNTS = st.tuples(*[st.integers(0, 9)] * 3).map(lambda parts: PairedCounts(64, *parts))
LOCKS = st.none() | st.integers(0, 3).flatmap(lambda level: st.just(Lock(level)))


@st.composite
def chunks(draw):
    """A chunk's score; seconds are whole, so that their sums are exact."""
    seconds = [float(draw(st.integers(0, 9))) for _ in range(4)]
    return ChunkScore(
        draw(COUNTS), draw(st.integers(0, 9)), draw(st.dictionaries(st.sampled_from("ab"), st.integers(0, 9))), *seconds,
        *(draw(st.text("01", min_size=2, max_size=2)) for _ in range(3)), lock=draw(LOCKS), neutral=draw(st.none() | COUNTS),
        bands=draw(st.sampled_from([(), BANDS])), strata=draw(st.sampled_from([{}, {"": TALLY}, {"": TALLY, "neutral": TALLY}])),
        sent=draw(st.none() | st.integers(0, 9)), gate_flops=draw(st.integers(0, 9)), passes=draw(st.none() | st.integers(0, 9)),
    )  # fmt: skip


SCORES = st.lists(chunks(), max_size=6)


@given(SCORES, SCORES, SCORES, st.booleans())
def test_sums_are_associative_and_have_an_identity(first, second, third, references):
    a, b, c = (total(each, references=references) for each in (first, second, third))
    assert (a + b) + c == a + (b + c) == total([*first, *second, *third], references=references)
    assert a + Scored() == Scored() + a == a


@given(SCORES, SCORES)
def test_but_for_the_order_of_chunks_a_sum_does_not_depend_on_it(first, second):
    ordered = ("digests", "failed", "answers")
    one, other = (replace(total(each), **dict.fromkeys(ordered, ())) for each in (first + second, second + first))
    assert one == other
    assert total(first + second).digests == tuple(score.digest for score in first + second)


@given(SCORES)
def test_everything_adds(scores):
    found = total(scores, references=True)
    assert found.counts == sum((score.counts for score in scores), PairedCounts())
    assert found.neutral == sum((score.neutral for score in scores if score.neutral), PairedCounts())
    assert found.reference_shots == found.counts.shots == 64 * len(scores)
    names = sorted({name for score in scores for name in score.references})
    assert found.references == {name: sum(score.references.get(name, 0) for score in scores) for name in names}
    assert found.predict_seconds == sum(score.predict_seconds for score in scores)
    assert (found.invalid, found.chunks) == (sum(score.invalid for score in scores), len(scores))
    levels = [score.lock.level for score in scores if score.lock]
    assert (found.lock.level if found.lock else None) == min(levels, default=None)


def test_no_field_is_forgotten_in_a_sum():
    """A field that a sum dropped would be its default again."""
    full = Scored(
        PairedCounts(8, 1, 1, 1), PairedCounts(8, 1, 0, 0), 1, {"a": 1}, 8, {"b": "pip"}, 1, 1.0, 1.0, 1.0, 1.0,
        ("d",), ("f",), ("x",), Lock(3), 2, 7, 1.0, 1.0, 1.0, {"a": ReferenceRun(1.0)}, 9, BANDS, {"": TALLY},
    )  # fmt: skip
    for one in (full + Scored(), Scored() + full, reduce(Scored.__add__, [full] * 3)):
        assert not [each.name for each in fields(Scored) if getattr(one, each.name) == getattr(Scored(), each.name)]


def test_the_mean_cost_is_that_of_the_shots_which_were_sent_rounded_up():
    half, whole = Scored(PairedCounts(1000), sent=500), Scored(PairedCounts(1000), sent=1000)
    assert (half.mean_flops(10), whole.mean_flops(10), (half + whole).mean_flops(10)) == (5, 10, 8)
    assert Scored(PairedCounts(1000), sent=0).mean_flops(10) == 0
    assert Scored(PairedCounts(1000), sent=1).mean_flops(10) == 1, "a cost is never understated"
    assert Scored(PairedCounts(1000), sent=500, gate_flops=2000).mean_flops(10) == 7
    assert Scored(PairedCounts(1000)).mean_flops(10) == 10, "without a gate every shot costs as much"


def test_the_fewest_layers_count_wherever_they_come():
    strong, weak = Scored(lock=Lock(3)), Scored(lock=Lock(1))
    assert (strong + weak).lock == (weak + strong).lock == Lock(1)
    assert (strong + Scored()).lock == Lock(3)


def test_times_are_per_shot():
    found = Scored(
        PairedCounts(1000), predict_seconds=0.5, decode_seconds=0.25, baseline_seconds=0.125, cpu_seconds=1.0
    )
    assert (found.predict_us, found.decode_us, found.baseline_us, found.cpu_us) == (500.0, 250.0, 125.0, 1000.0)
    assert Scored().predict_us == 0.0
    gated = replace(found, plain_seconds=0.002, gate_seconds=0.003)
    assert gated.us_per_shot == UsPerShot(2.0, 3.0, 500.0, 250.0)
    assert gated.us_per_shot.whole == 755.0
