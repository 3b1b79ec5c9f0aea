"""Custom stages: what their source may say, and what they must do before they train."""

import pytest
import torch

from autoqec.candidate.compile import build_modules, module_tensors
from autoqec.candidate.cost import measure_cost
from autoqec.candidate.schema import read_candidate, write_candidate
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.runner.training import TrainingDiverged, train
from autoqec.testing import check_stage, surface_problem
from autoqec.testing import custom_module as body

REGISTRY = load_plugins()
STAGE = b"kind: custom\n"

GOOD = '''"""A correction for each mechanism from the number of its detectors that fired."""

import torch


class Stage(torch.nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.register_buffer("detector", graph.detector, persistent=False)
        self.register_buffer("mechanism", graph.mechanism, persistent=False)
        self.weight = torch.nn.Parameter(torch.zeros(graph.num_mechanisms))

    def forward(self, syndromes, beliefs):
        lit = torch.zeros_like(beliefs).index_add(1, self.mechanism, syndromes[:, self.detector])
        return beliefs + self.weight * lit
'''


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.01)


def read(source, stage=STAGE):
    files = {"stages/own/stage.yaml": stage, "stages/own/module.py": source.encode()}
    return read_candidate(files, REGISTRY.maker("stage"))


def build(source, problem):
    stage = read(source).stages[0]
    return stage.kind.build(stage.config, problem)


def test_a_module_is_a_file_of_the_candidate_with_one_spelling():
    written = write_candidate(read(GOOD.replace("\n", "\r\n") + "\n\n"))
    assert written["stages/own/module.py"].decode() == GOOD
    assert write_candidate(read_candidate(written, REGISTRY.maker("stage"))) == written


def test_a_custom_stage_conforms_and_trains(problem):
    check_stage(read(GOOD).stages[0].kind, problem)
    trained = train(
        read(GOOD), [problem], None, seed=b"k" * 32, max_shots=2048, initial={}, inherit=False, report=lambda p: None
    )
    assert trained.telemetry["validation_after"] < trained.telemetry["validation_before"]
    assert trained.tensors["own.weight"].any()


def test_its_flops_are_what_a_count_by_hand_gives(problem):
    mechanisms, incidences = len(problem.mechanisms), len(problem.mechanisms.detector)
    by_hand = mechanisms + 2 * incidences + 2 * mechanisms  # zeros; gather, scatter; times the weight, onto the beliefs
    candidate = read(GOOD)
    tensors = module_tensors(build_modules(candidate, problem))
    assert measure_cost(candidate, tensors, problem).flops_per_shot == pytest.approx(by_hand, rel=0.05)


def test_the_graph_is_the_problem_s(problem):
    check = body(
        "return beliefs + self.w",
        "assert graph.coordinates.shape == (graph.num_detectors, 3) and graph.side.shape == (graph.num_detectors,);"
        " assert torch.bincount(graph.mechanism).max() <= 4 and graph.detector.max() == graph.num_detectors - 1;"
        " self.w = torch.nn.Parameter(torch.zeros_like(graph.priors))",
    )
    assert build(check, problem).w.shape == (len(problem.mechanisms),)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (body("return beliefs") + "import os\n", "line 8: import of os is not allowed"),
        (body("return beliefs") + "from os import path\n", "import from os is not allowed"),
        (body("return beliefs") + "from torch import load\n", "import of load is not allowed"),
        (body("return beliefs") + "from torch import *\n", r"import of \* is not allowed"),
        (body("return beliefs") + "from . import x\n", "import from . is not allowed"),
        (body("eval('1')"), "line 7: the name eval is not allowed"),
        (body("open('/etc/passwd')"), "the name open is not allowed"),
        (body("getattr(torch, 'lo' + 'ad')"), "the name getattr is not allowed"),
        (body("__import__('os')"), "the name __import__ is not allowed"),
        (body("torch.load('x')"), "the attribute load is not allowed"),
        (body("torch.multiprocessing.Process()"), "the attribute multiprocessing is not allowed"),
        (body("torch.nn.init.warnings.sys.modules['os']"), "the attribute (sys|warnings) is not allowed"),
        (body("().__class__.__bases__"), "the attribute __(bases|class)__ is not allowed"),
        (body("torch._C"), "the attribute _C is not allowed"),
        (body("global x"), "global is not allowed"),
        (body("return beliefs") + "print('on import')\n", "line 8: only imports, constants"),
        (body("return beliefs") + "X = torch.zeros(10**12)\n", "must not call anything"),
        (body("return beliefs") + "def f(:\n", "line 8: "),
        ("X = '" + "x" * 70_000 + "'\n", "70,007 bytes; at most 65,536"),
        ("X = [" + "1," * 20_000 + "]\n", "syntax nodes; at most 20,000"),
        ("X = 1\n", r"must define one class Stage\(torch.nn.Module\)"),
        (body("return beliefs").replace(", graph", ""), r"__init__ must have exactly the arguments self, graph"),
        (body("return beliefs").replace("beliefs)", "beliefs, *more)"), "exactly the arguments self, syndromes, beliefs"),
        (body("return beliefs").replace("forward", "foreword"), r"has no forward\(self, syndromes, beliefs\)"),
    ],
)  # fmt: skip
def test_what_a_module_may_not_say_is_named_with_its_line(source, reason):
    with pytest.raises(UsageError, match=rf"^stages/own/module.py.*{reason}"):
        read(source)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (body("return beliefs[:, 1:] + self.w"), r"must return float32 \[8, 219\].* not torch.float32 \[8, 218\]"),
        (body("return (beliefs + self.w).double()"), r"not torch.float64 \[8, 219\]"),
        (body("return 3"), "must return a tensor, not int"),
        (body("return beliefs / self.w"), "finite beliefs"),
        (body("return beliefs + self.w.detach()"), "no gradient reaches the parameters"),
        (body("return beliefs + self.w", "self.w, self.v = (torch.nn.Parameter(torch.zeros(1)) for _ in '12')"),
         "no gradient reaches parameter v"),
        (body("return beliefs + self.w.sqrt()"), "the gradient of parameter w is not finite"),
        (body("return beliefs + self.w + beliefs.mean(0)"), "must not depend on the other shots"),
        (body("return beliefs + self.w + torch.rand(1)"), "the same shots must give the same beliefs"),
        (body("return beliefs + self.nothing"), "line 7: AttributeError: 'Stage' object has no attribute 'nothing'"),
        (body("return beliefs", "raise ValueError('no')"), "line 5: ValueError: no"),
    ],
)  # fmt: skip
def test_what_a_stage_must_do_is_tried_before_it_trains(source, reason, problem):
    assert len(problem.mechanisms) == 219
    with pytest.raises(UsageError, match=rf"^stages/own/module.py.*{reason}"):
        build(source, problem)


def test_the_trial_does_not_change_what_the_stage_starts_from(problem):
    source = body("return beliefs + self.w.sum()", "self.w = torch.nn.Parameter(torch.randn(3))")
    torch.manual_seed(4)
    expected = torch.randn(3)
    torch.manual_seed(4)
    assert torch.equal(build(source, problem).w, expected)


def test_memory_that_is_not_there_is_a_matter_of_limits(problem):
    with pytest.raises(MemoryError, match="allocate memory"):
        build(body("return beliefs + self.w + torch.zeros(10**15).sum()"), problem)


def test_beliefs_that_become_nan_in_training_stop_it(problem):
    """Fine at zero, where the trial looks; not a number after the first step."""
    source = body("return beliefs + self.w * syndromes.sum() + torch.log1p(-1e6 * self.w * self.w)")
    source = source.replace("syndromes.sum()", "syndromes.sum(1, keepdim=True)")
    with pytest.raises(TrainingDiverged, match="steps had a loss or gradient that is not finite"):
        train(
            read(source),
            [problem],
            None,
            seed=b"k" * 32,
            max_shots=4096,
            initial={},
            inherit=False,
            report=lambda p: None,
        )


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"stages/own/stage.yaml": STAGE}, "stages/own/module.py is missing"),
        ({"stages/own/module.py": GOOD.encode()}, "stages/own/module.py belongs to no stage"),
        (
            {"stages/own/stage.yaml": b"kind: mlp\n", "stages/own/module.py": GOOD.encode()},
            "kind mlp cannot have a module",
        ),
        ({"stages/own/stage.yaml": STAGE, "stages/own/module.py": b"\xff"}, "stages/own/module.py is not UTF-8"),
        ({"stages/own/stage.yaml": STAGE, "stages/own/other.py": b"x = 1"}, "not allowed in a candidate"),
    ],
)
def test_a_module_belongs_to_a_custom_stage_and_to_no_other(files, reason):
    with pytest.raises(UsageError, match=reason):
        read_candidate(files, REGISTRY.maker("stage"))
