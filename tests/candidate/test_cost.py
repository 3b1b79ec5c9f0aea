"""FLOPs: what the counter sees, against counts by hand."""

import pytest
import torch

from autoqec.candidate.compile import build_modules, module_tensors
from autoqec.candidate.cost import count_flops, measure_cost
from autoqec.candidate.schema import read_candidate
from autoqec.plugins import load_plugins
from autoqec.testing import tiny_problem

A = torch.ones(4, 8)
INDEX = torch.tensor([0, 2, 2, 5, 7])


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda: A @ torch.ones(8, 3), 2 * 4 * 8 * 3 + 24),  # and 24 to make the ones
        (lambda: torch.tanh(A), 32),
        (lambda: A + A, 32),
        (lambda: A.sum(), 32),
        (lambda: A.T.reshape(-1)[:5].view(5), 32),  # the copy a reshape of a transpose must make, and nothing else
        (lambda: A.index_select(1, INDEX), 20),
        (lambda: A.index_add(1, INDEX, A[:, :5]), 20),
        (lambda: (A[:, :, None] * torch.ones(8, 3)).sum(1), 24 + 96 + 96),  # a matrix product in disguise
    ],
)
def test_counts_by_hand(function, flops):
    assert count_flops(function) == flops


def test_the_empty_pipeline_costs_nothing():
    cost = measure_cost(read_candidate({}, load_plugins().maker("stage")), {}, tiny_problem())
    assert (cost.flops_per_shot, cost.params) == (0, 0)


def test_cost_grows_with_iterations_and_sharing():
    def cost(text):
        candidate = read_candidate({"stages/a/stage.yaml": text.encode()}, load_plugins().maker("stage"))
        problem = tiny_problem()
        return measure_cost(candidate, module_tensors(build_modules(candidate, problem)), problem)

    four, eight = cost("kind: neural_bp\niterations: 4\n"), cost("kind: neural_bp\niterations: 8\n")
    assert 1.8 < eight.flops_per_shot / four.flops_per_shot < 2.1
    assert (four.params, eight.params) == (4, 8)
    assert cost("kind: neural_bp\nsharing: none\n").params == 8 * len(tiny_problem().mechanisms.detector)
