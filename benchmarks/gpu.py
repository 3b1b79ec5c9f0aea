"""Training and inference of learned stages on a GPU, against all cores of the CPU, by the wall clock; writes its result file.

Each stage is trained on the same shots on both devices. Then both compute the beliefs of the same shots from the weights of the
CPU's training, and the environment's decoder answers both: `differ` counts the shots that it answers otherwise. While that is not
0, a verdict that was reached on a GPU could not be replayed on a CPU. Without a GPU only the columns of the CPU are measured, on
an eighth of the shots, and no file is written.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as in a training process, and before torch is imported

import numpy as np
import torch
from _common import arguments, show
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm

from autoqec.candidate.compile import compile_stages
from autoqec.candidate.schema import Candidate, read_candidate
from autoqec.plugins import load_plugins
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.runner.devices import inference_device
from autoqec.runner.training import Trained, train
from autoqec.scoring.predictor import settle_beliefs
from autoqec.testing import surface_problem

SAVED = Path(__file__).parent / "results" / "gpu.json"

#: Without a GPU there is nothing to compare with: an eighth of the shots shows that the script works.
LESS = 8

#: Stages that torch computes in training and in inference.
STAGES = {
    "gnn": "kind: gnn\n",
    "cnn3d": "kind: cnn3d\n",
    "transformer": "kind: transformer\n",
    "mlp": "kind: mlp\n",
    "neural_bp, attention": "kind: neural_bp\nattention: messages\n",
}


def trained_on(device: str, text: str, problem: Problem, shots: int, seed: bytes) -> tuple[Candidate, Trained, float]:
    """Train a stage; returns the microseconds of a shot beside it."""
    training = f"shots: {shots}\nbatch_size: 256\npatience: 0\ndevice: {device}\n"
    files = {"stages/s/stage.yaml": text.encode(), "training.yaml": training.encode()}
    candidate = read_candidate(files, load_plugins().maker("stage"))
    best = float("inf")
    for _ in range(2):  # the first pays for loading
        begin = perf_counter()
        trained = train(
            candidate, [problem], None,
            seed=seed, max_shots=shots, initial={}, inherit=False, report=lambda progress: None, validation_shots=256,
        )  # fmt: skip
        best = min(best, perf_counter() - begin)
    return candidate, trained, best / max(1, shots) * 1e6


def beliefs_on(device: str, candidate: Candidate, trained: Trained, problem: Problem, syndromes: np.ndarray) -> Any:
    """The beliefs of some shots, and the microseconds of one."""
    (stage,) = compile_stages(candidate, trained.tensors, problem, inference_device(device))
    priors = np.repeat(problem.priors_llr[None], len(syndromes), axis=0)
    best = float("inf")
    for _ in range(2):
        begin = perf_counter()
        beliefs = stage.infer(syndromes, priors)
        best = min(best, perf_counter() - begin)
    return beliefs, best / len(syndromes) * 1e6


def measured(text: str, problem: Problem, shots: int, inferred: int, seed: bytes, *, gpu: bool) -> dict[str, Any]:
    """One row."""
    candidate, trained, training = trained_on("cpu", text, problem, shots, seed)
    chunks = range(-(-inferred // CHUNK_SHOTS))
    syndromes = np.concatenate([sample_chunk(problem, derive_seed(seed, "dev", i)).syndromes for i in chunks])[
        :inferred
    ]
    here, inference = beliefs_on("cpu", candidate, trained, problem, syndromes)
    row: dict[str, Any] = {"training µs, CPU": training, "inference µs, CPU": inference}
    if not gpu:
        return row
    there, on_gpu = beliefs_on("cuda", candidate, trained, problem, syndromes)
    training_on_gpu = trained_on("cuda", text, problem, shots, seed)[2]
    decoder, answers, apart = Mwpm().compile(problem), [], float(np.abs(here - there).max())
    for beliefs in (here, there):
        settle_beliefs(beliefs, problem.priors_llr)
        answers.append(decoder.decode(syndromes, beliefs).observables)
    return row | {
        "training µs, GPU": training_on_gpu,
        "inference µs, GPU": on_gpu,
        "training, times as fast": training / training_on_gpu,
        "inference, times as fast": inference / on_gpu,
        "beliefs apart, at most": apart,
        "differ": int((answers[0] != answers[1]).any(axis=1).sum()),
    }


def main() -> None:
    """Measure, print, and write the result file if there is a GPU."""
    options = arguments(
        __doc__,
        shots=(2048, "training shots of each stage"),
        inference=(8192, "shots of inference"),
        seed=(1, "seed of training and shots"),
    )
    gpu, problem = torch.cuda.is_available(), surface_problem(5, 0.005)
    seed, less = options.seed.to_bytes(32, "big"), 1 if gpu else LESS
    shots, inference = options.shots // less, options.inference // less
    rows = [{"stage": name} | measured(text, problem, shots, inference, seed, gpu=gpu) for name, text in STAGES.items()]
    facts = {
        "problem": problem.name,
        "GPU": torch.cuda.get_device_name() if gpu else "none: torch sees no GPU, so nothing was measured on one",
        "shots of inference": inference,
        "training shots": shots,
        "threads": torch.get_num_threads(),
        "seed": options.seed,
    }
    show("gpu", rows, facts, as_json=options.json)
    if gpu:
        told = {
            "command": f"python benchmarks/gpu.py --shots {options.shots} --inference {inference} --seed {options.seed}",
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
            "result": {"schema": "autoqec.benchmark.gpu/1", "rows": rows, **facts},
        }
        SAVED.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
