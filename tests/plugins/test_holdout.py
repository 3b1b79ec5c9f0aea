"""The verifier's words under constraints, on an executor that draws failures at known rates instead of decoding."""

from concurrent.futures import Future

import numpy as np
import pytest
from autoqec_plugins.holdout.verifier import EXTENSION_SHOTS, TARGET_FAILURES, HoldoutVerifier

from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.sandbox.channel import Message
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.counts import PairedCounts
from autoqec.scoring.shard import ChunkScore
from autoqec.scoring.statistics import attempt_alpha
from autoqec.scoring.verdict import VerificationRequest
from autoqec.testing import TINY_ENVIRONMENT

COST = {"flops_per_shot": 5000, "params": 16}


class Rates:
    """An executor whose candidate fails at one rate and whose baseline fails at twice that, each on its own."""

    def __init__(self, rate, cost=COST, again="same", missing=None):
        self.rate, self.cost, self.again, self.chunks, self.missing = rate, cost, again, 0, missing or {}

    def submit(self, task):
        future = Future()
        seeds = task.message.fields["seeds"]
        if task.function.endswith("cost"):
            future.set_result(Message(dict(self.cost)))
        elif task.function.endswith("answer_again"):
            future.set_result(Message({"answers": [self.again] * len(seeds)}))
        else:
            self.chunks += len(seeds)
            chunks = [self.chunk(seed).to_dict() for seed in seeds]
            future.set_result(Message({"chunks": chunks, "missing": self.missing}))
        return future

    def chunk(self, seed):
        rng = np.random.default_rng(seed)
        base, mine = (rng.random(CHUNK_SHOTS) < rate for rate in (2 * self.rate, self.rate))
        both, plain, own = (int(x.sum()) for x in (base & mine, base & ~mine, ~base & mine))
        return ChunkScore(
            counts=PairedCounts(CHUNK_SHOTS, both, plain, own), invalid=0, references={}, predict_seconds=0.0,
            decode_seconds=0.0, baseline_seconds=0.0, cpu_seconds=0.0, digest="", failed="", answers="same", lock=None,
        )  # fmt: skip


def verdict(executor, constraints, **more):
    text = TINY_ENVIRONMENT + f"constraints: {constraints}\n"
    loaded = environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="e.yaml")
    request = VerificationRequest(loaded, SealedCandidate({}, b""), "0" * 40, seed_key=bytes(32), **more)
    return HoldoutVerifier().verify(request, executor, lambda event: None)


@pytest.mark.parametrize(
    ("constraints", "over"),
    [
        ("{max_params: 15}", ["params 16 is above max_params 15"]),
        ("{max_flops_per_shot: 4999, max_params: 16}", ["flops_per_shot 5,000 is above max_flops_per_shot 4,999"]),
    ],
)
def test_a_candidate_over_budget_is_refused_before_a_shot_is_spent(constraints, over):
    executor = Rates(0.005)
    found = verdict(executor, constraints)
    assert (found.verdict, found.reason, found.details["over"]) == ("FAILED", "over_budget", over)
    assert executor.chunks == 0


def test_a_candidate_at_its_limits_is_within_them():
    found = verdict(Rates(0.005), "{max_params: 16, max_flops_per_shot: 5000}")
    assert (found.verdict, found.reason) == ("VERIFIED", "better")
    assert "ler_candidate_bound" not in found.details


@pytest.mark.parametrize(
    ("rate", "word", "reason"),
    [
        (0.008, "VERIFIED", "better"),
        (0.0099, "FAILED", "target_missed"),  # it may well be below, and is not shown to be
        (0.011, "FAILED", "target_missed"),
    ],
)
def test_a_target_must_be_shown_to_be_met(rate, word, reason):
    found = verdict(Rates(rate), "{target_ler: 0.01}")
    assert (found.verdict, found.reason) == (word, reason)
    assert found.details["ler_candidate"] < found.details["ler_candidate_bound"] < 1.2 * rate


def test_what_misses_its_target_is_verified_as_seldom_as_the_attempt_says():
    """At a rate just above the target, over many keys: the bound is exact, so this is the level and not a guess."""
    from autoqec_plugins.holdout.verifier import _rate_surely_below

    rng = np.random.default_rng(1)
    failures = rng.binomial(EXTENSION_SHOTS, 0.01, size=4000)
    level = 0.02
    shown = [_rate_surely_below(PairedCounts(EXTENSION_SHOTS, 0, 0, int(n)), level) <= 0.01 for n in failures]
    assert 0.01 < np.mean(shown) <= level + 3 * (level / len(shown)) ** 0.5
    assert attempt_alpha(0.05, 1, 0) < level


def test_a_low_target_is_given_the_shots_to_be_shown():
    found = verdict(Rates(0.0004), "{target_ler: 0.0005}")
    assert found.details["extension"]["shots"] >= TARGET_FAILURES / 0.0005 > EXTENSION_SHOTS
    assert (found.verdict, found.reason) == ("VERIFIED", "better")


def test_a_batch_dependent_candidate_is_suspicious_only_if_it_is_better():
    found = verdict(Rates(0.005, again="other"), "{}")
    assert (found.verdict, found.reason) == ("SUSPICIOUS", "batch_dependent")
    assert found.details["answered_again"]["differing"] == found.details["answered_again"]["chunks"]
    assert verdict(Rates(0.0, again="other"), "{}", max_shots=60_000).reason == "undecided"


def test_a_reference_that_was_left_out_is_named_in_the_verdict():
    line = "pip install 'tesseract-decoder'"
    assert verdict(Rates(0.005, missing={"tesseract": line}), "{}").details["references_missing"] == {"tesseract": line}
    assert "references_missing" not in verdict(Rates(0.005), "{}").details
