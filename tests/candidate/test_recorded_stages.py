"""What a stage with code of others costs, by the operations that are recorded of it."""

import json

import numpy as np
import pytest

from autoqec.candidate.compile import build_modules, chained, compile_stages, module_tensors
from autoqec.candidate.cost import Meter, measure_recorded, record_stages
from autoqec.candidate.recorded_program import Program
from autoqec.candidate.schema import Candidate, read_candidate
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk
from autoqec.sandbox.sealed import FREE_CODE_BYTES, SealedCandidate
from autoqec.testing import custom_module, tiny_problem

PROBLEM = tiny_problem()
N = len(PROBLEM.priors_llr)


def stages_of(forward, init="", before=""):
    """A custom stage behind belief propagation, compiled, and its weights."""
    files = {
        "stages/bp/stage.yaml": b"kind: neural_bp\nposition: 1\n",
        "stages/own/stage.yaml": b"kind: custom\nposition: 2\n",
        "stages/own/module.py": (before + custom_module(forward, init)).encode(),
    }
    candidate = read_candidate(files, load_plugins().maker("stage"))
    tensors = module_tensors(build_modules(candidate, PROBLEM))
    return candidate, compile_stages(candidate, tensors, PROBLEM), tensors


def cost_of(forward, init="", before=""):
    _, stages, tensors = stages_of(forward, init, before)
    return measure_recorded(stages, ["own"], tensors, PROBLEM)


@pytest.fixture(scope="module")
def plain():
    return cost_of("return beliefs + 0.0")


@pytest.mark.parametrize(
    ("init", "forward", "numbers"),
    [
        ("self.table = torch.tensor([float(i % 7) for i in range(700)])", "self.table.sum()", 600),
        ("self.table = torch.tensor(list(TABLE))", "self.table.sum()", 64),
        ("pass", "torch.tensor(list(TABLE)).sum()", 64),  # in forward, too
        ("pass", "torch.tensor([[0.1, 0.2], [0.3, 0.4]]).sum()", 3),
        ("self.register_buffer('table', torch.linspace(0, 1, 500).sin(), persistent=False)", "self.table.sum()", 499),
        ("self.table = torch.eye(200)", "self.table.sum()", 200),
        ("self.table = [torch.full((3,), i + 0.5) * torch.arange(3) for i in range(9)]", "sum(self.table).sum()", 18),
        ("self.graph = graph", "self.graph.priors.sum() + self.graph.coordinates[:, 2].sum()", 0),
        ("self.index = graph.detector.clone()", "syndromes[:, self.index].sum()", 0),
    ],
)
def test_numbers_that_are_no_weights_are_counted_wherever_they_are(init, forward, numbers, plain):
    before = f"TABLE = {bytes(range(1, 65))!r}\n"
    found = cost_of(f"return beliefs + 0.0 * ({forward})", init, before)
    assert found.constants == pytest.approx(numbers, abs=1)
    assert found.params == plain.params


def test_a_weight_of_eight_bytes_counts_as_two_and_code_counts_beyond_an_allowance():
    from autoqec.candidate.weights import save_weights

    weights = save_weights({"a.w": np.zeros(10, np.float64), "a.v": np.zeros(3, np.float32)}, fingerprints=["x"])
    small, large = ({"stages/a/module.py": bytes(size)} for size in (FREE_CODE_BYTES, FREE_CODE_BYTES + 401))
    assert SealedCandidate(small, weights).parameters() == 23
    assert SealedCandidate(large, weights).parameters(5) == 23 + 5 + 101


@pytest.mark.parametrize(
    "condition",
    ["torch.is_inference_mode_enabled()", "not torch.is_grad_enabled()", "len(beliefs) == 64", "not self.training"],
)
def test_work_that_depends_on_the_mode_or_the_batch_of_scoring_is_counted(condition, plain):
    work = "for _ in range(50):\n        beliefs = beliefs + 0.0 * torch.tanh(beliefs)"
    forward = f"if {condition}:\n    {work}\nreturn beliefs + 0.0"
    assert cost_of(forward).flops_per_shot - plain.flops_per_shot == 150 * N


@pytest.mark.parametrize(
    "forward",
    [
        "for _ in range(int(syndromes.sum()) % 7 if len(beliefs) > 8 else 0):\n    beliefs = beliefs * 1.01\nreturn beliefs",
        "return beliefs + 1e-9 * syndromes.sum().item()",
        "return beliefs + 1e-9 * len([1 for shot in syndromes.tolist() if sum(shot) > 2])",
    ],
)
def test_operations_that_depend_on_the_shots_are_refused(forward):
    with pytest.raises(UsageError, match="other operations on other shots") as error:
        cost_of(forward)
    assert error.value.code == "uncounted_operation"
    assert "torch.where" in error.value.hint


def test_work_on_few_shots_of_a_block_is_counted_by_what_is_done():
    """Shapes may depend on the shots, as the operations may not."""
    heavy = "few = torch.nonzero(syndromes.sum(1) > {})[:, 0]\nreturn beliefs.index_add(0, few, 0.0 * beliefs[few].exp().tanh())"
    none, all_of_them = cost_of(heavy.format(1000)), cost_of(heavy.format(-1))
    assert all_of_them.flops_per_shot - none.flops_per_shot == pytest.approx(5 * N, rel=0.01)


def test_the_record_answers_as_the_code_does():
    candidate, stages, tensors = stages_of(
        "x = self.layer(beliefs.unsqueeze(2))\nreturn beliefs + x.squeeze(2) * torch.where(beliefs > 0, 1.0, -0.5)",
        "self.layer = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.GELU(), torch.nn.Linear(8, 1))",
    )
    programs = {slug: Program.from_bytes(p.to_bytes()) for slug, p in record_stages(stages, ["own"], PROBLEM).items()}
    trusted = Candidate(candidate.output, candidate.training, candidate.stages[:1])
    meter = Meter(["bp", "own"], trusted, programs, tensors, PROBLEM)
    syndromes = sample_chunk(PROBLEM, 5).syndromes[:200]
    given = np.repeat(PROBLEM.priors_llr[None], 200, axis=0)
    assert np.array_equal(meter.infer(syndromes, given), chained([each.infer for each in stages])(syndromes, given))
    assert meter.flops(syndromes) == meter.flops()
    with pytest.raises(UsageError, match="how each of its stages works"):
        Meter(["bp"], trusted, programs, tensors, PROBLEM)


def program(steps=(), constants=(), weights=(), result=1, body=b""):
    header = {"steps": steps, "constants": constants, "weights": weights, "result": result}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"none whatsoever",
        (2**63).to_bytes(8, "little"),
        program()[:-3],
        program(result="one"),
        program(steps=[["rand.default", [[3]], {}, 2]]),
        program(steps=[["from_file.default", ["/etc/passwd"], {}, 2]]),
        program(steps=[["resize_.default", [{"t": 0}, [9]], {}, 2]]),
        program(steps=[["set_.source_Tensor", [{"t": 0}, {"t": 1}], {}, 2]]),
        program(steps=[["no_such_operation.default", [], {}, 2]]),
        program(steps=[["__class__.default", [], {}, 2]]),
        program(steps=[["add", [], {}, 2]]),
        program(constants=[[2, "float32", [-5], 0, -20]]),
        program(constants=[[2, "float32", [10**12], 0, 4]], body=bytes(4)),
        program(constants=[[2, "nn", [1], 0, 4]], body=bytes(4)),
        program(weights=[[2, "w"]]),
        program(steps=[["add.Tensor", [{"t": 0}], {}, 2]] * 100_001),
    ],
)
def test_a_forged_record_is_refused(data):
    with pytest.raises(UsageError):
        Program.from_bytes(data)


@pytest.mark.parametrize(
    "step",
    [
        ["add.Tensor", [{"t": 77}, {"t": 0}], {}, 2],
        ["add.Tensor", [{"run": "x"}, {"t": 0}], {}, 2],
        ["to.dtype", [{"t": 0}, {"dtype": "nn"}], {}, 2],
        ["index_select.default", [{"t": 0}, 5, {"t": 0}], {}, 2],
    ],
)
def test_a_record_that_cannot_run_fails(step):
    import torch

    run = Program.from_bytes(program([step], result=2)).runner({})
    with pytest.raises((UsageError, KeyError, TypeError, ValueError, RuntimeError, IndexError)):
        run(torch.zeros(2, 3), torch.zeros(2, 3))
