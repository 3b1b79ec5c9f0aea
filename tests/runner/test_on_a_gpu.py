"""The path to a GPU: what can be held to it on a machine without one, and what runs where torch sees one.

Without a GPU, modules run on torch's device `meta`, which computes shapes and no numbers, and in the mixed precision of a CPU.
That finds tensors that stay behind, operations that torch refuses on a GPU in its deterministic mode, and types that do not fit.
It finds nothing about speed or rounding.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autoqec.candidate import compile as compiling
from autoqec.candidate.compile import BLOCK, build_modules, compile_stages, gpu_block, in_blocks, module_tensors
from autoqec.candidate.schema import read_candidate, write_candidate
from autoqec.candidate.weights import save_weights
from autoqec.errors import AutoQECError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk
from autoqec.runner import shot_losses
from autoqec.runner.devices import choose_device, inference_device
from autoqec.runner.train import Limits, train_candidate
from autoqec.runner.training import train
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import report_of
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import shard
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.remote.answer_identity import may_be_the_machine
from autoqec.scoring.scoring_requests import ScoringTask
from autoqec.testing import TINY_ENVIRONMENT, surface_problem

WITH_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU on this machine")
WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")

STAGES = {
    "gnn": "kind: gnn\nlayers: 1\nhidden: 4\n",
    "gnn with attention": "kind: gnn\nlayers: 1\nhidden: 4\nmessage: edge_attention\naggregation: max\nnormalisation: graph\n",
    "gnn of gates": "kind: gnn\nlayers: 1\nhidden: 4\nmessage: gru_cell\naggregation: set_transformer\nnormalisation: batch\n",
    "cnn3d": "kind: cnn3d\nlayers: 1\nchannels: 4\n",
    "transformer": "kind: transformer\nlayers: 1\nwidth: 8\nheads: 2\n",
    "mlp": "kind: mlp\nhidden: 8\n",
    "neural_bp": "kind: neural_bp\niterations: 2\n",
    "neural_bp of orbits": "kind: neural_bp\niterations: 2\nalgorithm: min_sum\nsharing: orbit\nmemory: per_mechanism\n",
}

#: Operations that raise on a GPU in torch's deterministic mode, of those that a stage may want.
REFUSED = {
    "cumsum", "histc", "kthvalue", "median", "put_", "nll_loss_forward", "nll_loss2d_forward", "grid_sampler_3d_backward",
    "avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "adaptive_max_pool2d_backward",
    "reflection_pad3d_backward", "upsample_trilinear3d_backward", "_ctc_loss_backward", "max_unpool3d",
}  # fmt: skip

#: Operations that may be given tensors of two devices.
BETWEEN_DEVICES = {"_to_copy", "copy_", "index", "index_put", "index_put_", "_unsafe_index", "_index_put_impl_"}


class Watched(TorchDispatchMode):
    """Notes operations, and refuses those on tensors of two devices as a GPU would."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor) and each.dim()]
        assert name in BETWEEN_DEVICES or len({each.device.type for each in tensors}) < 2, f"{name} of two devices"
        self.names.add(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.01)


def candidate_of(stage, **training):
    told = "".join(f"{name}: {value}\n" for name, value in {"shots": 32, "batch_size": 16, **training}.items())
    files = {"stages/s/stage.yaml": stage.encode(), "training.yaml": told.encode()}
    return read_candidate(files, load_plugins().maker("stage"))


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_no_tensor_of_a_stage_stays_behind_and_no_operation_is_refused(problem, stage):
    module = build_modules(candidate_of(stage), problem)["s"].to("meta")
    syndromes = torch.empty(5, problem.num_detectors, device="meta")
    beliefs = torch.empty(5, len(problem.mechanisms), device="meta")
    with Watched() as watched:
        module(syndromes, beliefs).sum().backward()
    assert len(watched.names) > 5
    assert not watched.names & REFUSED


def test_a_tensor_that_stays_behind_is_noticed():
    with pytest.raises(AssertionError, match="of two devices"), Watched():
        torch.empty(3, device="meta") + torch.zeros(3)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_stage_trains_in_mixed_precision(problem, stage, monkeypatch):
    from autoqec_plugins.neural_bp.neural_bp_module import NeuralBPModule

    half = torch.autocast("cpu", dtype=torch.bfloat16)
    monkeypatch.setattr(shot_losses, "mixed_precision", lambda device: half)
    monkeypatch.setattr(NeuralBPModule, "forward", NeuralBPModule._clear)  # the kernels run on a CPU alone
    trained = train(
        candidate_of(stage), [problem], None,
        seed=bytes(32), max_shots=32, initial={}, inherit=False, report=lambda progress: None, validation_shots=16,
    )  # fmt: skip
    assert trained.telemetry["nan_steps"] == 0
    assert all(np.isfinite(value).all() for value in trained.tensors.values())


def test_inference_on_a_gpu_takes_large_blocks_which_answer_as_small_ones(problem, monkeypatch):
    candidate = candidate_of(STAGES["gnn with attention"])
    torch.manual_seed(1)
    modules = build_modules(candidate, problem)
    with torch.no_grad():
        for parameter in modules.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    block = gpu_block(problem)
    assert block == 1024
    tensors = module_tensors(modules)
    (small,) = compile_stages(candidate, tensors, problem)
    syndromes = sample_chunk(problem, 3).syndromes[: block + 100]
    priors = np.repeat(problem.priors_llr[None], len(syndromes), axis=0)
    large = in_blocks(modules["s"].eval(), problem, torch.device("cpu"), block)
    assert np.abs(large(syndromes, priors) - small.infer(syndromes, priors)).max() < 1e-4
    asked, moved = [], []
    monkeypatch.setattr(compiling, "in_blocks", lambda module, *told: asked.append(told))
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, device: moved.append(device) or module)
    there = SimpleNamespace(type="cuda")
    compile_stages(candidate, tensors, problem, there)
    assert (asked, moved) == ([(problem, there, block)], [there])
    many = SimpleNamespace(mechanisms=SimpleNamespace(detector=np.zeros(2**15)))
    assert gpu_block(many) == 256
    many.mechanisms.detector = np.zeros(2**20)
    assert gpu_block(many) == BLOCK


@WITHOUT_GPU
def test_a_gpu_that_is_not_there_is_the_machines_lack(one_process):
    """The device reaches the candidate's process from the task, and the error comes back without blaming the candidate."""
    for wanted in (choose_device, inference_device):
        with pytest.raises(UsageError, match="torch sees no GPU") as caught:
            wanted("cuda")
        assert caught.value.code == "no_gpu"
    assert inference_device("cpu").type == choose_device("auto").type == "cpu"
    files = {"environment.yaml": TINY_ENVIRONMENT.encode()}
    from autoqec.problem.code_contract import build_problem
    from autoqec.problem.environment import environment_from_files

    tiny = build_problem(environment_from_files(files, origin="e"), load_plugins().maker("code"))
    candidate = candidate_of(STAGES["mlp"])
    tensors = module_tensors(build_modules(candidate, tiny))
    sealed = SealedCandidate(write_candidate(candidate), save_weights(tensors, fingerprints=[tiny.fingerprint]))
    task = ScoringTask(environment=files, sealed=sealed, seeds=(1,), device="cuda")

    def refused():
        with pytest.raises(AutoQECError, match="torch sees no GPU") as caught:
            shard.score_chunks(task.to_message())
        assert (caught.value.code, isinstance(caught.value, CandidateFault)) == ("no_gpu", False)
        assert may_be_the_machine(Message(report_of(caught.value))), "another worker is asked"

    refused()
    shard.score_chunks(replace(task, device="cpu").to_message())
    refused()  # and what was loaded for another device does not answer


@WITH_GPU
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_training_on_a_gpu_repeats_itself_and_inference_is_near_the_cpus(problem, stage):
    candidate = candidate_of(stage, device="cuda", shots=1024, batch_size=256)

    def trained():
        return train(
            candidate, [problem], None,
            seed=bytes(32), max_shots=1024, initial={}, inherit=False, report=lambda progress: None,
        )  # fmt: skip

    first, second = trained(), trained()
    assert first.telemetry["device"] == torch.cuda.get_device_name()
    assert all(np.array_equal(value, second.tensors[name]) for name, value in first.tensors.items())
    syndromes = sample_chunk(problem, 3).syndromes
    priors = np.repeat(problem.priors_llr[None], len(syndromes), axis=0)
    device = inference_device("cuda")
    here, there = (compile_stages(candidate, first.tensors, problem, each)[0].infer for each in (None, device))
    assert np.abs(here(syndromes, priors) - there(syndromes, priors)).max() < 1e-2


@WITH_GPU
@pytest.mark.fresh_processes
def test_a_training_process_finds_the_gpu_under_its_limit_of_memory(problem):
    result = train_candidate(
        write_candidate(candidate_of(STAGES["mlp"], device="cuda")), [str(problem.dem)], {"kind": "mwpm"},
        stages=(), parents=b"", seed=bytes(32), max_shots=32, inherit=False, locked=False,
        limits=Limits(120.0, 12 * 2**30), report=lambda fields: None,
    )  # fmt: skip
    assert result.telemetry["device"] == torch.cuda.get_device_name()
