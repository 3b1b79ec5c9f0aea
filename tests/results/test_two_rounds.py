"""Which of two rounds fails less often: by a head-to-head, a composed round's shots, or intervals; else it is not decided."""

from dataclasses import replace

import pytest

from autoqec.results.counts import PairedCounts
from autoqec.results.head_to_head import HeadToHead
from autoqec.results.round_results import RoundResults
from autoqec.results.two_rounds import Compared, two_rounds
from autoqec.results.verdict import Verdict

MANY = PairedCounts(100_000, 500, 400, 200)  # the baseline of the counts fails more often
FEW = PairedCounts(1_000, 5, 4, 2)


def side(name, ratio, low, high, *, environment="e", **more):
    figures = {
        "shots": 10_000, "ler_baseline": 0.02, "ler_candidate": 0.02 * ratio, "delta_ler": 0.02 * (1 - ratio),
        "delta_ler_ci": [0.0, 0.01], "ler_ratio": ratio, "ler_ratio_ci": [low, high],
    }  # fmt: skip
    compose = more.pop("compose", None)
    details = figures | ({"compose": compose} if compose else {})
    verdict = Verdict("VERIFIED", "better", details)
    return Compared(name, f"commit of {name}", environment, RoundResults(verdict=verdict), **more)


A = side("r/1", 0.8, 0.7, 0.9, flops=1000, params=10)
B = side("r/2", 0.75, 0.65, 0.85, flops=500, params=10)
FAR = side("r/3", 0.5, 0.4, 0.6)


def test_intervals_that_do_not_overlap_decide():
    found = two_rounds(A, FAR, {})
    assert (found.word, found.shown, found.same_shots) == ("better", "intervals", ())
    assert two_rounds(FAR, A, {}).word == "worse"
    assert two_rounds(A, side("r/4", 2.0, 1.5, None), {}).word == "worse"
    assert (two_rounds(A, FAR, {}).flops_ratio, two_rounds(A, B, {}).flops_ratio) == (None, 0.5)


def test_times_are_compared_where_the_machine_is_of_the_same_kind():
    base = side("r/1", 0.8, 0.7, 0.9, us_per_shot=36.5, machine="x86")
    new = side("r/2", 0.8, 0.7, 0.9, us_per_shot=223.0, machine="x86")
    assert two_rounds(base, new, {}).us_ratio == pytest.approx(6.11, abs=0.01)
    assert two_rounds(base, new, {}).to_json()["us_per_shot"] == [36.5, 223.0]
    assert two_rounds(replace(base, machine="arm"), new, {}).us_ratio is None
    assert two_rounds(replace(base, machine=""), replace(new, machine=""), {}).us_ratio is None


def test_intervals_that_overlap_decide_nothing():
    found = two_rounds(A, B, {})
    assert (found.word, found.shown, found.why) == ("not_decided", "", "")
    assert two_rounds(A, side("r/4", 0.3, 0.1, None), {}).word == "not_decided"


@pytest.mark.parametrize("dearer", [A, B])
def test_a_head_to_head_decides_whichever_commit_it_is_on(dearer):
    """Its counts have the costlier round in the baseline's place: the one that fails more often here."""
    cheaper = B if dearer is A else A
    pairs = {dearer.commit: [HeadToHead(cheaper.commit, MANY, 0.01)]}
    found = two_rounds(A, B, pairs)
    assert (found.word, found.shown) == ("better" if cheaper is B else "worse", "head_to_head")
    (same,) = found.same_shots
    assert (same.ratio < 1) == (cheaper is B)
    low, high = same.ratio_interval
    assert low < same.ratio < high
    assert same.to_json()["shots"] == 100_000


def test_what_a_head_to_head_does_not_show_is_not_decided():
    few = {A.commit: [HeadToHead(B.commit, FEW, 0.01)]}
    assert (two_rounds(A, B, few).word, len(two_rounds(A, B, few).same_shots)) == ("not_decided", 1)
    of_others = {A.commit: [HeadToHead(FAR.commit, MANY, 0.01)], "x": [HeadToHead(B.commit, MANY, 0.01)]}
    assert two_rounds(A, B, of_others).same_shots == ()
    assert two_rounds(A, B, {A.commit: [HeadToHead(B.commit, MANY, 0.0)]}).same_shots == ()


def test_a_composed_round_was_scored_beside_its_parent():
    scored = {
        "composition": "partial", "parents": {"r/1": 0.01, "r/2": 0.01}, "sum": 0.02, "best_parent": "r/1", "over_best": 0.002,
        "over_best_ci": [0.001, 0.003], "counts": MANY.to_dict(),
    }  # fmt: skip
    child = side("r/5", 0.75, 0.65, 0.85, compose=scored)
    assert [(two_rounds(*both, {}).word, two_rounds(*both, {}).shown) for both in ((A, child), (child, A))] == [
        ("better", "composition"),
        ("worse", "composition"),
    ]
    assert two_rounds(B, child, {}).word == "not_decided"


def test_what_cannot_be_compared_is_said():
    elsewhere = side("s/1", 0.5, 0.4, 0.6, environment="f")
    assert two_rounds(A, elsewhere, {}).why == "the two rounds are on different environments"
    bare = Compared("r/9", None, "e", RoundResults())
    found = two_rounds(A, bare, {})
    assert (found.word, found.why) == ("not_comparable", "there is no verdict with figures of r/9")
    assert found.to_json()["same_shots"] == []
