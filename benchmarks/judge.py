"""What it costs to keep judge, matcher and candidate apart, and to lock a candidate in.

Processor time, as the kernel counts it for each process, so that a busy machine changes little. `work` is inference and
decoding of the same shots in this process, with nothing between them; what the three processes take beyond it and beyond drawing
the shots is overhead: pipes, checks, counting. `starts` are whole processes that load torch and a module of the candidate's, in
wall time and in processor time: the first locked one with the warm process that it is forked from, and every further one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import clock_gettime, perf_counter, process_time
from typing import Any

from _common import arguments, one_thread, show

one_thread()

import numpy as np  # noqa: E402

from autoqec.candidate.compile import build_modules, compile_inference, module_tensors  # noqa: E402
from autoqec.candidate.schema import read_candidate  # noqa: E402
from autoqec.candidate.weights import load_weights, save_weights  # noqa: E402
from autoqec.decoding.compiling import compile_decoder  # noqa: E402
from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.code import build_problem  # noqa: E402
from autoqec.problem.environment import builtin_environments, find_environment  # noqa: E402
from autoqec.problem.sampling import sample_chunk  # noqa: E402
from autoqec.sandbox.channel import Message  # noqa: E402
from autoqec.sandbox.sealed import SealedCandidate  # noqa: E402
from autoqec.scoring import shard  # noqa: E402
from autoqec.scoring.predictor import Predictor, settle_beliefs  # noqa: E402
from autoqec.scoring.workers import Workers  # noqa: E402

BP = b"kind: neural_bp\niterations: 8\nsharing: per_check\n"
MODULE = b"""import torch
class Stage(torch.nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))
    def forward(self, syndromes, beliefs):
        return beliefs + self.w
"""
_TICK = os.sysconf("SC_CLK_TCK")


def spent(pid: int) -> float:
    """Processor seconds of a process and of the children it has waited for."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15])) / _TICK


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    own = list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return own + [each for child in own for each in below(child)]


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, shots=(98_304, "shots of surface_d5_depol"), starts=(3, "starts of each kind"))
    registry = load_plugins()
    loaded = find_environment("surface_d5_depol", [builtin_environments()])
    problem = build_problem(loaded, registry.maker("code"))
    sealed = seal({"stages/bp/stage.yaml": BP}, problem, registry)
    chunks = -(-options.shots // 4096)
    rows = [overhead(loaded, problem, sealed, registry, chunks)]
    show("judge", rows, {"shots": chunks * 4096} | starts(problem, registry, options.starts), as_json=options.json)


def seal(files: dict[str, bytes], problem: Any, registry: Any) -> SealedCandidate:
    """A candidate with the weights it begins with."""
    modules = build_modules(read_candidate(files, registry.maker("stage")), problem)
    return SealedCandidate(files, save_weights(module_tensors(modules), fingerprints=[problem.fingerprint]))


def overhead(loaded: Any, problem: Any, sealed: SealedCandidate, registry: Any, chunks: int) -> dict[str, Any]:
    """Median processor milliseconds of scoring a chunk, and of the same work here."""
    data = {f"env:{name}": text for name, text in loaded.files.items()} | sealed.to_blobs()
    candidate = read_candidate(sealed.files, registry.maker("stage"))
    infer = compile_inference(candidate, load_weights(sealed.weights), problem)
    decoder = compile_decoder(loaded.environment.decoder, problem, registry)
    priors = np.repeat(problem.priors_llr[None], 4096, axis=0)
    times: list[tuple[float, float, float]] = []
    for seed in range(chunks + 1):  # one way and the other in turns: a neighbour's busy second hits both
        marks = [process_time()]
        shots = sample_chunk(problem, seed)
        marks.append(process_time())
        beliefs = infer(shots.syndromes, priors)
        settle_beliefs(beliefs, problem.priors_llr)
        decoder.decode(shots.syndromes, beliefs)
        decoder.decode(shots.syndromes)
        marks.append(process_time())
        before = process_time() + sum(map(spent, below(os.getpid())))
        shard.score_chunks(Message({"seeds": [seed]}, data))
        apart = process_time() + sum(map(spent, below(os.getpid()))) - before
        times.append((marks[1] - marks[0], marks[2] - marks[1], apart))
    shard._forget_bench()
    drawing, work, apart = np.median(times[1:], axis=0) * 1e3  # the first pays for loading
    return {
        "work ms": float(work),
        "drawing ms": float(drawing),
        "three processes ms": float(apart),
        "overhead / work": float((apart - work - drawing) / work),
    }


def starts(problem: Any, registry: Any, count: int) -> dict[str, float]:
    """Least milliseconds of starts until a candidate is loaded, by the clock on the wall and the processor's."""
    own = seal({"stages/own/stage.yaml": b"kind: custom\n", "stages/own/module.py": MODULE}, problem, registry)
    runs: dict[str, list[tuple[float, float]]] = {}
    for _ in range(count):
        runs.setdefault("import torch", []).append(importing())
        runs.setdefault("start unlocked", []).append(start(own, problem, None))
        with Workers() as workers:
            began = perf_counter()
            workers.expect(problem, ["custom"])
            _, cpu = start(own, problem, workers, first=True)
            runs.setdefault("first locked start", []).append(((perf_counter() - began) * 1e3, cpu))
            for _ in range(count):
                runs.setdefault("further locked start", []).append(start(own, problem, workers))
    found = {}
    for name, times in runs.items():
        for clock, values in zip(("wall", "processor"), zip(*times, strict=True), strict=True):
            found[f"{name}, {clock} ms"] = round(min(values), 1)
    for clock in ("wall", "processor"):
        torch = found[f"import torch, {clock} ms"]
        first = found[f"first locked start, {clock} ms"]
        found[f"first locked start beyond importing torch, {clock} ms"] = round(first - torch, 1)
        # It imports nothing: all of it is beyond.
        found[f"further locked start beyond importing torch, {clock} ms"] = found[f"further locked start, {clock} ms"]
    found["further locked start, median wall ms"] = round(float(np.median(runs["further locked start"], axis=0)[0]), 1)
    return found


def importing() -> tuple[float, float]:
    """Wall and processor milliseconds of a process that imports torch."""
    code = "import time, torch; print(time.process_time() * 1e3)"
    began = perf_counter()
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    return (perf_counter() - began) * 1e3, float(done.stdout)


def start(own: SealedCandidate, problem: Any, workers: Workers | None, *, first: bool = False) -> tuple[float, float]:
    """Wall and processor milliseconds until a candidate is loaded, with what the warm process spent on it.

    That is all it ever spent, before the `first`.
    """

    def of_warm() -> float:
        nursery = workers._nursery if workers else None
        return clock_gettime((~nursery.pid << 3) | 2) if nursery else 0.0  # as in autoqec.scoring.predictor

    began, before = perf_counter(), 0.0 if first else of_warm()
    with Predictor(own, problem, locked=workers is not None, workers=workers) as predictor:
        predictor.wait()
        wall = perf_counter() - began
        return wall * 1e3, (predictor.cpu_seconds + of_warm() - before) * 1e3


if __name__ == "__main__":
    main()
