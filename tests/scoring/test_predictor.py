"""The judge's side of a candidate: whatever comes back is settled, or is a fault with a reason."""

import os
import signal

import numpy as np
import pytest

from autoqec.candidate.weights import load_weights, save_weights
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.sampling import sample_chunk
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.candidate_workers import Workers
from autoqec.scoring.predictor import BELIEF_STEP, CandidateFault, Predictor, settle_beliefs
from autoqec.testing import custom_module, untrained

FILES = {"stages/a/stage.yaml": b"kind: neural_bp\niterations: 2\n"}


def raising(line):
    """Files of a stage with a module of its own that has this line in `__init__`."""
    module = custom_module(init=f"{line}\nself.w = torch.nn.Parameter(torch.zeros(1))")
    if "self.w" in line:
        module = custom_module("return beliefs + self.w.sum()", init=line)
    return {"stages/a/stage.yaml": b"kind: custom\n", "stages/a/module.py": module.encode()}


def sealed(problem, fingerprint=None, files=FILES):
    weights = untrained(FILES, problem).weights
    return SealedCandidate(
        files, weights if fingerprint is None else save_weights(load_weights(weights), fingerprints=[fingerprint])
    )


def test_beliefs_are_settled():
    priors = np.arange(4, dtype=np.float32)
    beliefs = np.array(
        [[0.1, -0.2, 1e9, -1e9], [np.nan, 0, 0, 0], [0, np.inf, 0, 0], [1, 2, 3, 4]] * 100, dtype=np.float32
    )
    invalid = settle_beliefs(beliefs, priors)
    assert invalid.tolist() == [False, True, True, False] * 100
    assert (beliefs[1::4] == priors).all()
    assert (beliefs[0] == [102 / 1024, -205 / 1024, LLR_BOUND, -LLR_BOUND]).all()
    assert (beliefs / BELIEF_STEP == np.rint(beliefs / BELIEF_STEP)).all()


def test_a_candidate_answers_and_counts(autoqec_problem):
    syndromes = sample_chunk(autoqec_problem, 1).syndromes
    with Predictor(sealed(autoqec_problem), autoqec_problem) as predictor:
        beliefs, invalid = predictor.predict(syndromes)
        assert beliefs.shape == (len(syndromes), len(autoqec_problem.mechanisms))
        assert not invalid.any()
        again, _ = predictor.predict(syndromes[::-1][:37])
        assert (again == beliefs[::-1][:37]).all()
        assert predictor.cost()["params"] == 2


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"fingerprint": "f" * 64}, "bad_weights", "trained for problem ffff"),
        ({"files": {"stages/b/stage.yaml": b"kind: neural_bp\n"}}, "bad_weights", "do not fit stage 'b'"),
        ({"files": {"stages/a/stage.yaml": b"kind: nonesuch\n"}}, "crash", "no stage named 'nonesuch'"),
        ({"files": raising("raise ValueError('surprise')")}, "crash", "line 5: ValueError: surprise"),
        ({"files": raising("raise KeyError('surprise')")}, "crash", "line 5: KeyError: 'surprise'"),
        ({"files": raising("self.w = torch.nn.Parameter(torch.zeros(3))")}, "bad_weights", "do not fit stage 'a'"),
    ],
)
def test_a_candidate_that_cannot_be_loaded_is_a_fault(autoqec_problem, change, reason, words):
    broken = sealed(autoqec_problem, **change)
    with Predictor(broken, autoqec_problem) as predictor, pytest.raises(CandidateFault, match=words) as caught:
        predictor.predict(np.zeros((1, autoqec_problem.syndrome_bytes), dtype=np.uint8))
    assert caught.value.reason == reason


def test_a_candidate_that_dies_is_a_fault(autoqec_problem):
    with Predictor(sealed(autoqec_problem), autoqec_problem) as predictor:
        predictor.wait()
        os.kill(predictor._child.pid, signal.SIGKILL)
        with pytest.raises(CandidateFault) as caught:
            predictor.predict(np.zeros((1, autoqec_problem.syndrome_bytes), dtype=np.uint8))
    assert caught.value.reason == "crash"


@pytest.fixture(scope="module")
def workers(autoqec_problem):
    """Where processes of code of its own come from: one that has loaded torch, as a matcher has."""
    with Workers() as made:
        made.expect(autoqec_problem, ["custom"])
        yield made


def custom(problem, line, workers):
    """A locked candidate, harmless on the eight shots of its trial; what it does to a whole block is for a test to say."""
    module = custom_module(f"if len(beliefs) > 32 and syndromes.any():\n    {line}\nreturn beliefs + self.w")
    files = {"stages/own/stage.yaml": b"kind: custom\n", "stages/own/module.py": module.encode()}
    return Predictor(untrained(files, problem), problem, locked=True, stages=('{"kind": "custom"}',), workers=workers)


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        ("raise KeyError('surprise')", "crash", "surprise"),
        ("while True: pass", "timeout", "no answer within 2 s"),
        ("torch.zeros(10**12)", "crash", "memory"),
        ("return beliefs[:, 1:]", "crash", "beliefs of shape"),
        ("return None", "crash", "NoneType"),
    ],
)
def test_code_that_goes_wrong_on_scored_shots_is_a_fault(autoqec_problem, workers, monkeypatch, line, reason, words):
    syndromes = sample_chunk(autoqec_problem, 1).syndromes[:64]
    with custom(autoqec_problem, line, workers) as predictor:
        predictor.wait()
        if reason == "timeout":  # the others may take their time
            monkeypatch.setattr("autoqec.scoring.predictor._FLOOR_SECONDS", 2.0)
            monkeypatch.setattr("autoqec.scoring.predictor._SECONDS_PER_SHOT", 0.0)
        with pytest.raises(CandidateFault, match=words) as caught:
            predictor.predict(syndromes)
    assert caught.value.reason == reason


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "-float('inf')"])
def test_beliefs_that_are_no_numbers_make_their_shots_invalid(autoqec_problem, workers, value):
    """An infinite belief is clipped by the candidate's own process, as one of 1e30 is; only NaN has no meaning."""
    line = f"return torch.where(syndromes.any(1, keepdim=True), {value}, beliefs)"
    syndromes = sample_chunk(autoqec_problem, 1).syndromes[:64]
    with custom(autoqec_problem, line, workers) as predictor:
        beliefs, invalid = predictor.predict(syndromes)
    assert np.isfinite(beliefs).all()
    assert (np.abs(beliefs) <= LLR_BOUND).all()
    assert (invalid == (syndromes.any(axis=1) if "nan" in value else False)).all()


def test_beliefs_of_another_dtype_are_those_of_float32(autoqec_problem, workers):
    syndromes = sample_chunk(autoqec_problem, 1).syndromes[:64]
    answers = []
    for line in ("pass", "return (beliefs + self.w).double()"):
        with custom(autoqec_problem, line, workers) as predictor:
            answers.append(predictor.predict(syndromes)[0])
    assert (answers[0] == answers[1]).all()
