"""Training: stops when the validation loss no longer falls, keeps the best weights, and gives the same ones for a key."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from autoqec.candidate.schema import Training, read_candidate, write_candidate
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import Labelled
from autoqec.runner import shot_losses
from autoqec.runner.devices import choose_device
from autoqec.runner.losses import batch_loss
from autoqec.runner.stopping import EarlyStopping, steps_between_looks
from autoqec.runner.training import TrainingDiverged, plan_steps, train
from autoqec.testing import custom_module, surface_problem, untrained


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.01)


def trained(problem, settings, stage="kind: mlp\n", module=None, **more):
    files = {"training.yaml": settings.encode(), "stages/s/stage.yaml": stage.encode()}
    if module is not None:
        files["stages/s/module.py"] = module.encode()
    candidate = read_candidate(files, load_plugins().maker("stage"))
    common = {"seed": b"r" * 32, "max_shots": 10**9, "initial": {}, "inherit": False, "report": lambda p: None}
    return train(candidate, [problem], None, **common, **more)


def test_the_best_weights_are_kept_and_patience_ends():
    module = torch.nn.Linear(1, 1)
    stopping = EarlyStopping(module, patience=2)

    def look(step, loss):
        torch.nn.init.constant_(module.weight, step)
        return stopping.look(step, loss)

    assert [look(*x) for x in enumerate([5.0, 4.0, 4.5, 3.0, float("nan"), 3.5])] == [False] * 5 + [True]
    assert stopping.restore() == 3.0
    assert module.weight.item() == 3.0
    assert [point["step"] for point in stopping.points] == [0, 1, 2, 3, 5]


def test_patience_zero_never_ends():
    stopping = EarlyStopping(torch.nn.Linear(1, 1), patience=0)
    assert not any(stopping.look(step, float(step)) for step in range(20))


@pytest.mark.parametrize(
    ("steps", "batch", "patience", "between"),
    [(1000, 256, 3, 100), (1000, 256, 0, 200), (8, 128, 3, 32), (0, 128, 3, 32), (101, 65536, 3, 11)],
)
def test_looks_are_few_and_far_between(steps, batch, patience, between):
    assert steps_between_looks(steps, batch, patience) == between


def test_what_was_learned_is_kept_when_the_time_is_up(problem):
    settings = "shots: 1000000\nbatch_size: 64\nlearning_rate: 0.01\n"
    found = trained(problem, settings, seconds=1.0).telemetry
    assert found["out_of_time"]
    assert 0 < found["steps"] < found["steps_planned"]
    assert found["validation"][-1]["step"] == found["steps"]
    assert not trained(problem, "shots: 640\nbatch_size: 64\n").telemetry["out_of_time"]


def test_a_training_that_only_gets_worse_stops_and_gives_back_the_start(problem):
    wild = trained(problem, "learning_rate: 1.0\nbatch_size: 64\nshots: 65536\npatience: 2\n")
    telemetry = wild.telemetry
    assert telemetry["steps"] < telemetry["steps_planned"] == 1024
    assert telemetry["validation_after"] == min(point["loss"] for point in telemetry["validation"])
    json.dumps(telemetry, allow_nan=False)


@pytest.mark.parametrize("loss", ["bce", "focal", "weighted_bce"])
def test_every_loss_falls_and_a_key_gives_the_same_weights(loss, problem):
    settings = f"learning_rate: 0.01\nbatch_size: 128\nshots: 4096\nloss: {loss}\n"
    one, two = (trained(problem, settings) for _ in range(2))
    assert one.telemetry["validation_after"] < one.telemetry["validation_before"]
    assert one.telemetry["device"] == "cpu"
    assert all((one.tensors[name] == two.tensors[name]).all() for name in one.tensors)


def weighted_bce(beliefs, priors, fired):
    shots = Labelled(syndromes=None, observables=None, fired=fired)
    return batch_loss("weighted_bce", beliefs[None], shots, priors.double(), None)


def test_weighted_bce_is_least_at_the_truth_and_weighs_mechanisms_alike(problem):
    priors = torch.from_numpy(problem.priors_llr)
    chance = torch.sigmoid(-priors.double())
    beliefs = priors.double().clone().requires_grad_(True)

    def expected(given):
        """The loss averaged over both outcomes of every mechanism, each as likely as its prior says."""
        fired, idle = (weighted_bce(given, priors, np.full((1, len(given)), x)) for x in (True, False))
        (by_fired,) = torch.autograd.grad(fired, beliefs, retain_graph=True)
        (by_idle,) = torch.autograd.grad(idle, beliefs)
        return chance * by_fired + (1 - chance) * by_idle

    assert expected(beliefs).abs().max() < 1e-6
    entropy = -(chance * chance.log() + (1 - chance) * torch.log1p(-chance))
    fired = weighted_bce(beliefs, priors, np.ones((1, len(beliefs)), dtype=bool))
    (gradient,) = torch.autograd.grad(fired, beliefs)
    assert np.allclose((gradient * entropy / (1 - chance)).detach(), entropy.mean(), rtol=1e-5)


@pytest.mark.parametrize("loss", ["bce", "logical_gap"])
def test_files_without_the_newer_fields_train_as_before(loss, problem):
    """A step of `sampling: all`, written out: labelled shots of the step's seed, one mean over all of them."""
    from autoqec_plugins.mwpm.mwpm_decoder import Mwpm

    from autoqec.candidate.compile import build_modules
    from autoqec.problem.sampling import sample_labelled
    from autoqec.problem.streams import derive_seed
    from autoqec.runner.training import _losses

    stage = b"kind: neural_bp\niterations: 2\nsharing: none\n"
    candidate = read_candidate(
        {"training.yaml": f"loss: {loss}\nbatch_size: 100\n".encode(), "stages/s/stage.yaml": stage},
        load_plugins().maker("stage"),
    )
    modules, decoder = build_modules(candidate, problem), Mwpm().compile(problem)
    losses = _losses(modules, [problem], [decoder], candidate, torch.device("cpu"), b"k" * 32, 64)
    found = losses.gradients(3, 10)
    (parameter,) = modules.parameters()
    gradient, parameter.grad = parameter.grad.clone(), None

    shots = sample_labelled(problem, 100, derive_seed(b"k" * 32, "batch", 3))
    beliefs = modules["s"](
        torch.from_numpy(shots.syndromes).float(), torch.from_numpy(problem.priors_llr).expand(100, -1)
    )
    if loss == "bce":
        fired = torch.from_numpy(shots.fired).float()
        expected = torch.nn.functional.binary_cross_entropy_with_logits(-beliefs, fired, reduction="none").sum(1).mean()
        expected.backward()
    else:
        packed = [np.packbits(bits, axis=1, bitorder="little") for bits in (shots.syndromes, shots.observables)]
        each, by_beliefs = decoder.logical_gap_loss(packed[0], beliefs.detach().numpy(), packed[1])
        expected = torch.from_numpy(each).mean()
        beliefs.backward(torch.from_numpy(by_beliefs) * np.float32(1 / 100))
    assert found == expected
    assert torch.allclose(gradient, parameter.grad, rtol=1e-6, atol=0)


def test_a_stage_that_wants_few_shots_at_once_gets_no_more():
    class Parts(torch.nn.Module):
        shots_at_once = 48

    assert shot_losses._parts(128, torch.nn.ModuleDict({"a": Parts(), "b": torch.nn.Identity()})) == [48, 48, 32]
    assert shot_losses._parts(128, torch.nn.ModuleDict({})) == [128]


def test_a_gpu_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="device: cuda, but torch sees no GPU"):
        choose_device("cuda")


def test_a_loss_that_is_not_finite_from_the_start_is_divergence(problem):
    module = custom_module("return beliefs + self.w / (len(beliefs) < 64)")
    with pytest.raises(TrainingDiverged, match="untrained candidate is not finite"):
        trained(problem, "shots: 512\n", "kind: custom\n", module)


def test_steps_are_those_of_torch(monkeypatch):
    from autoqec.runner.adam import CosineAdam

    # All that torch's own asks of its compiler is to stay away; importing it takes longer than the whole of this file.
    away = SimpleNamespace(disable=lambda function, *_, **__: function, graph_break=lambda: None)
    monkeypatch.setitem(sys.modules, "torch._dynamo", away)
    monkeypatch.setattr(torch, "_dynamo", away, raising=False)
    torch.manual_seed(1)
    ours, theirs = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    mine = CosineAdam(ours.parameters(), 0.02, 20)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=20)
    for step in range(20):
        x, usable = torch.randn(7, 5), step != 4
        for module in (ours, theirs):
            module.zero_grad()
            module(x).square().sum().backward()
        mine.step(usable=usable)
        if usable:
            adam.step()
        schedule.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_training_does_not_import_the_compiler():
    code = (
        "import sys; from autoqec.runner.training import train; from autoqec.testing import custom_module, surface_problem;"
        "from autoqec.plugins import load_plugins; from autoqec.candidate.schema import read_candidate;"
        "from autoqec.candidate.cost import measure_cost; kinds = load_plugins().maker('stage');"
        "c = read_candidate({'stages/s/stage.yaml': b'kind: mlp\\n', 'training.yaml': b'shots: 64\\nbatch_size: 64\\n'}, kinds);"
        "p = surface_problem(3, 0.01);"
        "t = train(c, [p], None, seed=bytes(32), max_shots=64, initial={}, inherit=False, report=print);"
        "measure_cost(c, t.tensors, p); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


#: Serves a candidate whose weights, and the error model, lie beside it.
ANSWERS = """
import sys
from pathlib import Path
from autoqec.runner.worker import serve_predictions
from autoqec.sandbox.channel import ChannelClosed, Message
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.worker_requests import CandidateRequest, PredictionRequest, Preparation

class Asks:
    def __init__(self, *requests):
        self.asked, self.answers = [each.to_message() for each in requests], []

    def receive(self):
        if not self.asked:
            raise ChannelClosed("it has asked everything")
        return self.asked.pop(0)

    def send(self, message):
        self.answers.append(message)

files = {"stages/bp/stage.yaml": b"kind: neural_bp\\niterations: 2\\n"}
asks = Asks(
    Preparation(stages=(), dem=Path("dem").read_bytes(), lock=False),
    CandidateRequest(SealedCandidate(files, Path("weights").read_bytes())),
    PredictionRequest("predict", bytes(int(sys.argv[1]))),
    PredictionRequest("cost"),
)
try:
    serve_predictions(asks)
except ChannelClosed:
    ready, beliefs, cost = asks.answers
assert beliefs.blobs["beliefs"]
assert cost.fields["params"] > 0
assert "torch" not in sys.modules
"""


def test_a_stage_of_ours_answers_and_is_counted_without_torch(problem, tmp_path):
    """It takes longer to import than to answer, and each round has several such processes."""
    sealed = untrained({"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 2\n"}, problem)
    (tmp_path / "weights").write_bytes(sealed.weights)
    (tmp_path / "dem").write_text(str(problem.dem))
    command = [sys.executable, "-c", ANSWERS, str(problem.syndrome_bytes)]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_weights_of_more_than_a_megabyte_are_bytes_like_others():
    """The channel hands large blobs on without copying them, as bytearrays, and git takes bytes only."""
    from autoqec.runner.train import Limits, train_candidate

    stage = "kind: mlp\nhidden: 512\nsee_beliefs: false\n"
    files = {"stages/dense/stage.yaml": stage.encode(), "training.yaml": b"shots: 64\nbatch_size: 64\n"}
    made = read_candidate(files, load_plugins().maker("stage"))
    result = train_candidate(
        write_candidate(made),
        [str(surface_problem(5, 0.005).dem)],
        {"kind": "mwpm"},
        stages=(),
        parents=b"",
        seed=b"1" * 32,
        max_shots=64,
        inherit=False,
        locked=False,
        limits=Limits(120.0, 12 * 2**30),
        report=lambda fields: None,
    )
    assert len(result.weights) > 2**20
    assert type(result.weights) is bytes


@pytest.mark.parametrize(
    ("told", "most", "steps"),
    [
        ({"shots": 4096, "epochs": 1, "batch_size": 64}, 1000, 15),
        ({"shots": 4096, "epochs": 100, "batch_size": 64}, 1000, 15),  # an epoch has less than a batch
        ({"shots": 4096, "epochs": 1000, "batch_size": 8}, 1000, 125),
        ({"shots": 4096, "epochs": 2, "batch_size": 64}, 10**6, 128),
        ({"shots": 32, "epochs": 3, "batch_size": 64}, 10**6, 3),
        ({"shots": 4096, "epochs": 5, "batch_size": 2048}, 1000, 0),
        ({"shots": 0, "epochs": 5, "batch_size": 8}, 1000, 0),
    ],
)
def test_all_epochs_together_draw_no_more_shots_than_the_profile_allows(told, most, steps):
    settings = Training(**told)
    assert plan_steps(settings, most)[1] == steps
    assert steps * settings.batch_size <= most
