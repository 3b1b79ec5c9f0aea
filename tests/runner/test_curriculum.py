"""A curriculum: every level is the target's problem with more noise, and training comes down to the target."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import stim
import torch
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm

from autoqec.candidate.schema import candidate_hash, read_candidate, write_candidate
from autoqec.plugins import load_plugins
from autoqec.problem.problem import problem_from_dem
from autoqec.runner import worker
from autoqec.runner.curriculum import level_at, levels_above, with_noise
from autoqec.runner.shot_losses import ShotLosses
from autoqec.runner.stopping import EarlyStopping
from autoqec.runner.training import train
from autoqec.runner.worker import serve_training
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.worker_requests import TrainingPreparation, TrainingRequest
from autoqec.testing import surface_problem

SURFACE = surface_problem(3, 0.005)


def test_twice_the_noise_is_that_of_two_errors():
    dem = stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.02) D0 D1\nerror(0.6) D1\ndetector(1, 2) D0")
    twice = with_noise(problem_from_dem(dem, name="x"), 2.0)
    assert twice.mechanisms.priors == pytest.approx([2 * 0.1 * 0.9, 2 * 0.02 * 0.98, 0.6])
    assert with_noise(twice, 1.0).mechanisms.priors == pytest.approx(twice.mechanisms.priors)


@pytest.mark.parametrize("factor", [1.3, 2.0, 10.0])
def test_a_level_is_what_its_error_model_compiles_to(factor):
    """Also where instructions merge: a mechanism is changed as its instructions are."""
    merged = stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.05) D0 L0\nerror(0.02) D0 D1\nerror(0.01) D1")
    for problem in (SURFACE, problem_from_dem(merged, name="x")):
        level = with_noise(problem, factor)
        again = problem_from_dem(level.dem, name="x")
        assert again.structure == level.structure == problem.structure
        assert again.mechanisms.priors == pytest.approx(level.mechanisms.priors)
        assert level.priors_llr == pytest.approx(again.priors_llr, rel=1e-5)
        assert (level.mechanisms.priors < 0.5).all()
        assert (level.mechanisms.priors > problem.mechanisms.priors).all()


def test_levels_fall_to_the_target():
    assert levels_above(SURFACE, 1.0) == []
    means = [level.mechanisms.priors.mean() for level in [*levels_above(SURFACE, 2.0), SURFACE]]
    assert means == sorted(means, reverse=True)
    assert means[0] / means[-1] == pytest.approx(2.0, rel=0.02)
    assert [level_at(step, 12, 3) for step in range(12)] == [0, 0, 1, 1, 2, 2] + [None] * 6
    assert [level_at(step, 12, 0) for step in (0, 11)] == [None, None]
    assert level_at(0, 1, 3) is None


def candidate(settings):
    files = {"training.yaml": settings.encode(), "stages/s/stage.yaml": b"kind: neural_bp\niterations: 3\n"}
    return read_candidate(files, load_plugins().maker("stage"))


def test_candidates_without_a_curriculum_keep_their_files():
    old, same, new = (
        write_candidate(candidate(f"loss: bce\n{more}")) for more in ("", "curriculum: 1\n", "curriculum: 2\n")
    )
    assert candidate_hash(old) == candidate_hash(same) != candidate_hash(new)
    assert b"curriculum: 2.0" in new["training.yaml"]
    assert b"curriculum" not in old["training.yaml"]


def run(settings, decoder=None, **more):
    chosen = candidate(settings + "learning_rate: 0.01\nbatch_size: 64\nshots: 1024\n")
    levels = levels_above(SURFACE, chosen.training.curriculum)
    decoders = [Mwpm().compile(each) for each in [SURFACE, *levels]] if decoder else None
    common = {"seed": b"r" * 32, "max_shots": 10**9, "initial": {}, "inherit": False, "report": lambda p: None}
    return train(chosen, [SURFACE], decoders, levels=levels, **common, **more)


@pytest.mark.parametrize(
    "settings", ["loss: bce\n", "loss: logical_gap\n", "loss: logical_gap\nsampling: gated\n", "sampling: gated\n"]
)
def test_every_loss_and_sampling_trains_down_to_the_target_and_repeats(settings, monkeypatch):
    seen = []
    gradients = ShotLosses.gradients

    def spy(self, step, per_epoch, level=None):
        shots = next(self._batches("batch", step, 64, level + self._rates if level is not None else 0))
        seen.append((level, np.bitwise_count(shots.syndromes).sum() / len(shots.syndromes)))
        return gradients(self, step, per_epoch, level)

    plain = run(settings, Mwpm)
    monkeypatch.setattr(ShotLosses, "gradients", spy)
    one, two = (run(settings + "curriculum: 3\n", Mwpm) for _ in range(2))
    assert [level for level, _ in seen[:16]] == [0, 0, 0, 1, 1, 1, 2, 2] + [None] * 8
    assert np.mean([fired for _, fired in seen[:3]]) > np.mean([fired for _, fired in seen[8:16]])
    assert all((one.tensors[name] == two.tensors[name]).all() for name in one.tensors)
    assert any((one.tensors[name] != plain.tensors[name]).any() for name in one.tensors)
    assert one.telemetry["validation"][0] == plain.telemetry["validation"][0]  # both are validated at the target


def test_early_stopping_waits_for_the_target():
    stopping = EarlyStopping(torch.nn.Linear(1, 1), patience=2)
    stopping.look(0, 1.0)
    assert not any(stopping.look(step, 2.0, may_stop=False) for step in range(1, 6))
    assert [stopping.look(step, 2.0) for step in (6, 7)] == [False, True]


def test_the_training_process_makes_the_levels_itself(monkeypatch):
    """It has no circuit, so it makes them from the error model."""
    # All plugins, not only those that are ours: the tests may run from a source tree beside an installed copy.
    monkeypatch.setattr(worker, "load_plugins", lambda entries: load_plugins())
    sent = []
    files = {
        "training.yaml": b"curriculum: 2\nbatch_size: 64\nshots: 512\nsampling: gated\n",
        "stages/s/stage.yaml": b"kind: mlp\n",
    }
    dem = str(SURFACE.dem).encode()
    training = read_candidate(files, load_plugins().maker("stage")).training
    preparation = TrainingPreparation(
        dem=dem, lock=False, stages=(), other_dems={}, decoder={"kind": "mwpm"}, training=training.model_dump_json()
    )
    request = TrainingRequest(
        sealed=SealedCandidate(files, b""), seed=bytes(32), max_shots=10**6, inherit=False, seconds=1e9
    )
    messages = [preparation.to_message(), request.to_message()]
    serve_training(SimpleNamespace(receive=lambda: messages.pop(0), send=sent.append, descriptors=()))
    assert sent[-1].fields["telemetry"]["steps"] == 8
    assert json.dumps(sent[-1].fields)
