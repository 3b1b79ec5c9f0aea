"""Whoever knows nothing is never VERIFIED, and whoever knows everything is; candidates are stubs in this process."""

import contextlib
from concurrent.futures import Future

import numpy as np
import pytest
from autoqec_plugins.holdout.holdout_verifier import HoldoutVerifier

from autoqec.decoding.decoder_contract import Decoded
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import shard
from autoqec.scoring.decoder_set import DecoderSet, open_decoder_set
from autoqec.scoring.executor_contract import run_task
from autoqec.scoring.verifier_contract import VerificationRequest
from autoqec.testing import TINY_ENVIRONMENT

ENVIRONMENT = environment_from_files({ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}, origin="e")
PROBLEM = build_problem(ENVIRONMENT, load_plugins().maker("code"), None)
#: The baseline alone; its matcher has the decoders.
EMPTY = SealedCandidate({}, b"")


class Predictor:
    """A candidate in this process: beliefs from a function of syndromes."""

    lock, cpu_seconds = None, 0.0

    def __init__(self, beliefs):
        self.beliefs = beliefs

    def predict(self, syndromes, priors=None):
        return self.beliefs(syndromes), np.zeros(len(syndromes), bool)


class Reads:
    """A decoder that takes the first belief's sign for the answer: the way from what a predictor is told to what is counted."""

    def decode(self, syndromes, beliefs=None):
        return Decoded((beliefs[:, :1] < 0).astype(np.uint8), np.zeros(len(syndromes), bool))


class Here:
    """An executor in this process, with a decoder set whose candidate is a stub; what it is asked again it answers again."""

    jobs = 1

    def __init__(self, monkeypatch, beliefs, backend=None):
        self.said, self.truth = {}, None
        resources = contextlib.ExitStack()
        blobs = {f"env:{name}": data for name, data in ENVIRONMENT.files.items()}
        plain = open_decoder_set(blobs, None, None, resources)
        stub = Predictor(lambda syndromes: beliefs(syndromes, self.truth))
        decoders = DecoderSet(PROBLEM, plain.baseline, {}, stub, backend or plain.baseline, {})

        class Matcher:
            has_candidate, gated, ensembled, reference_runs = True, False, False, {}
            known, neutral, candidate, missing = decoders.known, decoders.neutral, decoders.candidate, {}

            def cost(self):
                return {"flops_per_shot": 1, "params": 0}

        monkeypatch.setattr(shard, "_current_decoder_set", lambda message: shard._DecoderSet(PROBLEM, Matcher(), None))
        score = shard._score

        def watched(decoders, drawn, with_references, seed, **asked):
            self.truth = drawn.shots.observables  # the hook: no predictor that is not a test's is told
            return score(decoders, drawn, with_references, seed, **asked)

        monkeypatch.setattr(shard, "_score", watched)
        monkeypatch.setattr(shard, "batches", lambda sent, seed: [slice(0, len(sent))])

    def submit(self, task):
        future, seeds = Future(), task.message.fields["seeds"]
        if task.function.endswith("answer_again"):
            future.set_result(type(task.message)({"answers": [self.said[seed] for seed in seeds]}))
            return future
        answer = run_task(task)
        self.said |= {
            seed: chunk["answers"] for seed, chunk in zip(seeds, answer.fields.get("chunks", []), strict=False)
        }
        future.set_result(answer)
        return future


def verdict(executor, key, max_shots):
    request = VerificationRequest(ENVIRONMENT, EMPTY, "0" * 40, seed_key=key.to_bytes(32, "big"), max_shots=max_shots)
    return HoldoutVerifier().verify(request, executor, lambda event: None)


def answer(bits):
    """Beliefs that tell `Reads` these bits."""
    beliefs = np.repeat(PROBLEM.priors_llr[None], len(bits), axis=0).astype(np.float32)
    beliefs[:, 0] = np.where(bits[:, 0] & 1, -8.0, 8.0)
    return beliefs


def test_an_oracle_is_verified(monkeypatch):
    oracle = Here(monkeypatch, lambda syndromes, truth: answer(truth), Reads())
    found = verdict(oracle, 1, 65_536)
    assert (found.verdict, found.reason) == ("VERIFIED", "better")
    assert found.details["extension"]["both"] == found.details["extension"]["candidate_only"] == 0


def test_shuffled_labels_score_at_chance(monkeypatch):
    rng = np.random.default_rng(5)
    found = verdict(Here(monkeypatch, lambda syndromes, truth: answer(rng.permutation(truth)), Reads()), 1, 32_768)
    assert found.verdict == "FAILED"
    counts = found.details["test"]
    shots = shard.sample_chunk(PROBLEM, 1).observables[:, 0] & 1
    chance = 2 * shots.mean() * (1 - shots.mean())
    assert (counts["both"] + counts["candidate_only"]) / counts["shots"] == pytest.approx(chance, rel=0.1)


def never_verified(monkeypatch, beliefs, times):
    executor = Here(monkeypatch, beliefs)
    found = [verdict(executor, key, 16_384) for key in range(times)]
    # The decoder of beliefs keeps one decomposition of each effect and so gains a little by itself: that is not the candidate's.
    assert {(each.verdict, each.reason) for each in found} <= {
        ("FAILED", "not_better"),
        ("FAILED", "undecided"),
        ("SUSPICIOUS", "decoder_gain"),
    }


def test_the_baseline_itself_is_not_verified(monkeypatch):
    never_verified(monkeypatch, lambda syndromes, _: np.repeat(PROBLEM.priors_llr[None], len(syndromes), axis=0), 3)


@pytest.mark.slow
def test_the_baseline_itself_is_never_verified_in_two_hundred(monkeypatch):
    never_verified(monkeypatch, lambda syndromes, _: np.repeat(PROBLEM.priors_llr[None], len(syndromes), axis=0), 200)


@pytest.mark.slow
def test_a_baseline_that_hears_noise_is_never_verified_in_two_hundred(monkeypatch):
    """Other answers than the baseline's, and no better ones: here a lucky stretch could look like a gain."""
    rng = np.random.default_rng(3)
    size = (1, len(PROBLEM.priors_llr))

    def noisy(syndromes, _):
        return (PROBLEM.priors_llr + rng.normal(0, 0.2, (len(syndromes), size[1]))).astype(np.float32)

    never_verified(monkeypatch, noisy, 200)
