"""The certificate's tasks: fault sets on the way of shots, summed by their odds, with the regressed ones shown."""

import numpy as np
import pytest

from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.results.counts import PairedCounts
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import fault_tasks as certificate
from autoqec.scoring.fault_sets import how_many, odds, shots_of
from autoqec.scoring.fault_tasks import examine_faults, outline
from autoqec.scoring.scoring_requests import FaultTask, OutlineTask
from autoqec.scoring.shard import ChunkScore, GivenScore
from autoqec.testing.tiny import TINY_ENVIRONMENT, tiny_problem

EMPTY = {"environment": {ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}, "sealed": SealedCandidate({}, b"")}


def ask(**fields):
    return examine_faults(FaultTask(**EMPTY, **fields).to_message()).fields


def test_an_outline_says_distance_and_numbers():
    fields, problem = outline(OutlineTask(**EMPTY, most=2).to_message()).fields, tiny_problem()
    assert (fields["distance"], fields["found"]) == (3, "graphlike")
    assert fields["sets"] == [1, len(problem.mechanisms), how_many(problem, 2)]
    assert fields["probabilities"][0] == pytest.approx(float(np.prod(1 - problem.mechanisms.priors)))


def test_matching_corrects_every_single_fault_and_the_baseline_does_not_differ_from_itself():
    single = ask(weight=1, count=10**6)
    assert single["counts"] == PairedCounts(len(tiny_problem().mechanisms)).to_dict()
    pairs = ask(weight=2, count=4096, first=1000)
    assert pairs["counts"]["both"] > 0 == pairs["counts"]["candidate_only"] == pairs["counts"]["baseline_only"]
    assert pairs["odds_baseline"] == pairs["odds_candidate"] > 0
    assert pairs["regressions"] == []


def test_what_is_drawn_follows_from_the_seed():
    one, again, other = (ask(weight=2, count=4096, seeds=(seed,)) for seed in (5, 5, 6))
    assert one == again != other


def test_sets_that_the_candidate_alone_fails_are_shown_the_likeliest_first(monkeypatch):
    problem = tiny_problem()

    def fails_the_first_six(message, build):
        shots = build(problem)
        alone = np.arange(len(shots)) < 6
        baseline = np.arange(len(shots)) == 0
        counts = PairedCounts(len(shots), both=1, baseline_only=0, candidate_only=5)
        return GivenScore(problem, ChunkScore(counts, 0, {}, 0, 0, 0, 0, "", "", "", None), baseline, alone)

    monkeypatch.setattr(certificate, "score_given", fails_the_first_six)
    found = ask(weight=1, count=100)
    each = odds(problem)
    assert found["odds_candidate"] == pytest.approx(each[:6].sum())
    assert found["odds_baseline"] == pytest.approx(each[0])
    shown = [row["mechanisms"][0] for row in found["regressions"]]
    assert len(shown) == 4
    assert 0 not in shown
    assert [row["odds"] for row in found["regressions"]] == sorted((each[m] for m in range(1, 6)), reverse=True)[:4]
    likeliest = shots_of(problem, np.array([[shown[0]]]))
    bits = np.unpackbits(likeliest.syndromes[0], bitorder="little")
    assert found["regressions"][0]["detectors"] == np.flatnonzero(bits).tolist()
