"""The optimiser does what torch's does, and nothing of torch's compiler is imported for it."""

import subprocess
import sys

import pytest
import torch

from autoqec.runner.adam import CosineAdam

STEPS = 40


def moved(optimiser_of):
    """Three tensors after forty steps with gradients of many sizes; one of them gets its first gradient late."""
    generator = torch.Generator().manual_seed(1)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4,), (3, 5), (130, 70))]
    step_at = optimiser_of(parameters)
    rates = CosineAdam([], 0.02, STEPS)
    for step in range(STEPS):
        for number, parameter in enumerate(parameters):
            drawn = torch.randn(parameter.shape, generator=generator) * 10.0 ** (step % 3)
            parameter.grad = None if number == 1 and step < 3 else drawn
        step_at(rates.rate)
        rates.skip()
    return [parameter.detach() for parameter in parameters]


def test_it_moves_as_torch_does_to_the_bit():
    def ours(parameters):
        adam = CosineAdam(parameters, 0.02, STEPS)
        return lambda rate: adam.step()

    def torchs(parameters):
        adam = torch.optim.Adam(parameters, lr=0.02)

        def step_at(rate):
            adam.param_groups[0]["lr"] = rate
            adam.step()

        return step_at

    assert all(torch.equal(one, other) for one, other in zip(moved(ours), moved(torchs), strict=True))


def test_the_rate_is_torchs_cosine():
    parameter = torch.nn.Parameter(torch.zeros(1))
    adam = torch.optim.Adam([parameter], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=STEPS)
    ours = CosineAdam([parameter], 0.02, STEPS)
    for _ in range(STEPS):
        assert ours.rate == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        parameter.grad = torch.ones(1)
        adam.step()
        schedule.step()
        ours.skip()
    assert ours.rate == pytest.approx(0)


TRAIN = """
import sys
from autoqec.candidate.schema import read_candidate
from autoqec.plugins import load_plugins
from autoqec.runner.training import train
from autoqec.testing import tiny_problem
files = {"training.yaml": b"shots: 256", "stages/s/stage.yaml": b"kind: mlp"}
candidate = read_candidate(files, load_plugins().maker("stage"))
common = {"seed": bytes(32), "max_shots": 256, "initial": {}, "inherit": False, "report": lambda progress: None}
assert train(candidate, [tiny_problem()], None, **common).telemetry["steps"]
print("torch" in sys.modules, [name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""


def test_training_does_not_wait_for_the_import_of_a_compiler_it_never_uses():
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"
