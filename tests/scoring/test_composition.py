"""Compositions: pairing from failure bits, and the three words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoqec.results.counts import PairedCounts
from autoqec.scoring.composition import judge_composition, paired, share_of_gap
from autoqec.scoring.score_stream import Scored

BASE = 0xFFFF << 40  # the baseline fails 16 of 64 shots


def scored(fails, shots=64, digests=("d",)):
    counts = PairedCounts(shots, (fails & BASE).bit_count(), (BASE & ~fails).bit_count(), (fails & ~BASE).bit_count())
    return Scored(counts=counts, chunks=1, digests=digests, failed=(f"{fails:0{shots // 4}x}",))


def without(bits, count):
    """The baseline's failures with `count` of them, from bit `bits` on, mended."""
    return BASE & ~(((1 << count) - 1) << (40 + bits))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_pairing_counts_shots(one, two):
    counts = paired(scored(one), scored(two))
    assert counts.shots == 64
    bits = [(one >> i & 1, two >> i & 1) for i in range(64)]
    assert (counts.both, counts.baseline_only, counts.candidate_only) == tuple(
        map(bits.count, ((1, 1), (1, 0), (0, 1)))
    )


def test_shots_that_differ_cannot_be_paired():
    with pytest.raises(ValueError, match="same shots"):
        paired(scored(1), scored(1, digests=("e",)))


def test_of_two_stretches_what_both_have_is_paired():
    longer = scored(3)
    longer = Scored(counts=longer.counts + longer.counts, digests=("d", "e"), failed=(*longer.failed, "f" * 16))
    assert paired(longer, scored(1)) == paired(scored(3), scored(1))
    with pytest.raises(ValueError, match="same shots"):
        paired(longer, Scored())


@pytest.mark.parametrize(
    ("child", "word", "over"),
    [
        (without(0, 10), "adds_up", 4 / 64),
        (without(0, 8), "partial", 2 / 64),
        (without(0, 6), "interferes", 0),
        (without(0, 5), "interferes", -1 / 64),
    ],
)
def test_the_words(child, word, over):
    """Parents that mend 6 and 4 different shots."""
    verdict = judge_composition(scored(child), {"r/1": scored(without(0, 6)), "r/2": scored(without(6, 4))})
    assert verdict.composition == word
    assert verdict.scored.best_parent == "r/1"
    assert verdict.scored.over_best == pytest.approx(over)
    assert verdict.scored.sum == pytest.approx(10 / 64)
    assert verdict.scored.over_best_ci[0] <= over <= verdict.scored.over_best_ci[1]


@pytest.mark.parametrize(("strong", "share"), [(60, 0.5), (80, 1.0), (50, 0.4), (100, None), (120, None)])
def test_the_share_of_the_gap_is_a_quotient_of_counts(strong, share):
    counts = PairedCounts(1000, 70, 30, 10)  # the baseline fails 100 times, the candidate 80
    found = share_of_gap("slow", Scored(counts=counts, references={"slow": strong}, chunks=1))
    assert found.failures == {"baseline": 100, "candidate": 80, "strong": strong}
    assert found.share == (None if share is None else pytest.approx(share))
    low, high = found.candidate.ler_ci
    assert low < found.candidate.ler == 0.08 < high
