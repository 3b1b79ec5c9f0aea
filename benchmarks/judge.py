"""What it costs to keep judge, matcher and candidate apart, and to lock a candidate in.

Processor time, as the kernel counts it for each process in nanoseconds. `work` is what goes on inside the candidate's inference
and the decoders, by the clock of the process that does it; all else that the three processes take, but for drawing the shots, is
overhead: pipes, checks of beliefs, counting. Both are of the same process and the same chunk, so that neither a neighbour nor the
luck of a process's memory comes between them; the ratio's quartiles over all chunks are beside its median. `alone` is the same
inference and matching in one process with nothing around them. `starts` are whole processes that load torch and a module of the
candidate's, in wall time and in processor time: the first locked one with the warm process that it is forked from, and every
further one.
"""

from __future__ import annotations

import importlib
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import clock_gettime, perf_counter, process_time
from typing import Any

from _common import arguments, one_thread, show

from autoqec.sandbox.child import Child, _environment

one_thread()
if not os.environ.get(
    "MALLOC_TOP_PAD_"
):  # glibc reads it once: as the children have it, or their allocator is the faster one
    os.execve(sys.executable, [sys.executable, *sys.argv], dict(os.environ) | _environment(1, tempfile.gettempdir()))

import numpy as np  # noqa: E402

from autoqec.candidate.compile import build_modules, compile_inference, module_tensors  # noqa: E402
from autoqec.candidate.schema import read_candidate  # noqa: E402
from autoqec.candidate.weights import load_weights, save_weights  # noqa: E402
from autoqec.decoding.compile_decoder import compile_decoder  # noqa: E402
from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.code_contract import build_problem  # noqa: E402
from autoqec.problem.environment import builtin_environments, find_environment  # noqa: E402
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk  # noqa: E402
from autoqec.sandbox.channel import Channel, Message  # noqa: E402
from autoqec.sandbox.sealed import SealedCandidate  # noqa: E402
from autoqec.sandbox.stage_files import stages_to_warm_up  # noqa: E402
from autoqec.scoring import shard  # noqa: E402
from autoqec.scoring.candidate_workers import Workers  # noqa: E402
from autoqec.scoring.predictor import Predictor  # noqa: E402
from autoqec.scoring.scoring_requests import ScoringTask  # noqa: E402

BP = b"kind: neural_bp\niterations: 8\nsharing: per_check\n"
MODULE = b"""import torch
class Stage(torch.nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))
    def forward(self, syndromes, beliefs):
        return beliefs + self.w
"""


#: Chunks that the same processes score: some are luckier than others with where their memory lies.
_CHUNKS_EACH = 8

#: Seconds that this process and its children spent inside each part so far; they share the page.
PARTS = ("inference", "matching", "checks")
_clock = np.frombuffer(mmap.mmap(-1, mmap.PAGESIZE), dtype=np.float64, count=len(PARTS))


def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that adds its processor time to a part."""
    place = PARTS.index(part)

    def call(*arguments: Any) -> Any:
        began = process_time()
        answer = function(*arguments)
        _clock[place] += process_time() - began
        return answer

    return call


class Forked(Child):
    """A child that is a fork of this process, so that what is timed here is timed there."""

    def __init__(self, target: str, **_: Any):
        module, _, function = target.partition(":")
        serve = getattr(importlib.import_module(module), function)
        (to_read, to_write), (answers, answer) = os.pipe(), os.pipe()
        self._forked = os.fork()
        if self._forked == 0:
            os.close(to_write), os.close(answers)
            try:
                serve(Channel(to_read, answer))
            finally:
                os._exit(0)
        os.close(to_read), os.close(answer)
        self._channel = Channel(answers, to_write)

    @property
    def pid(self) -> int:
        """See `Child`."""
        return self._forked

    def kill(self) -> None:
        """See `Child`."""
        os.kill(self._forked, signal.SIGKILL)
        os.waitpid(self._forked, 0)


class Timed:
    """A decoder whose time is matching."""

    def __init__(self, decoder: Any):
        self.decode = timed("matching", decoder.decode)


def spent(pid: int) -> float:
    """Processor seconds of a process by the kernel's clock of it (`man 3 clock_getcpuclockid`)."""
    return clock_gettime((~pid << 3) | 2)


def child_of(pid: int) -> int:
    """The one process that a process has started."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, shots=(98_304, "shots of surface_d5_depol"), starts=(3, "starts of each kind"))
    registry = load_plugins()
    loaded = find_environment("surface_d5_depol", [builtin_environments()])
    problem = build_problem(loaded, registry.maker("code"))
    sealed = seal({"stages/bp/stage.yaml": BP}, problem, registry)
    chunks = -(-options.shots // CHUNK_SHOTS)
    begun = starts(problem, registry, options.starts)
    rows = [overhead(loaded, problem, sealed, registry, chunks)]
    show("judge", rows, {"shots": chunks * CHUNK_SHOTS} | begun, as_json=options.json)


def seal(files: dict[str, bytes], problem: Any, registry: Any) -> SealedCandidate:
    """A candidate with the weights it begins with."""
    modules = build_modules(read_candidate(files, registry.maker("stage")), problem)
    return SealedCandidate(files, save_weights(module_tensors(modules), fingerprints=[problem.fingerprint]))


def overhead(loaded: Any, problem: Any, sealed: SealedCandidate, registry: Any, chunks: int) -> dict[str, Any]:
    """Median processor milliseconds of scoring a chunk, by process and by part."""
    candidate = read_candidate(sealed.files, registry.maker("stage"))
    infer = compile_inference(candidate, load_weights(sealed.weights), problem)
    decoder = compile_decoder(loaded.environment.decoder, problem, registry)
    priors = np.repeat(problem.priors_llr[None], CHUNK_SHOTS, axis=0)
    shards = instrumented()

    def task(seed: int) -> Message:
        return ScoringTask(environment=loaded.files, sealed=sealed, seeds=(seed,)).to_message()

    rows = []
    for seed in range(chunks):
        if seed % _CHUNKS_EACH == 0:
            shards._forget_decoder_set()
            shards.score_chunks(task(seed))  # loads everything
            matcher = child_of(os.getpid())
            pids = (os.getpid(), matcher, child_of(matcher))
        marks = [process_time()]
        shots = sample_chunk(problem, seed)
        marks.append(process_time())
        decoder.decode(shots.syndromes)
        decoder.decode(shots.syndromes, infer(shots.syndromes, priors))
        marks.append(process_time())
        before, parts = [spent(pid) for pid in pids], _clock.copy()
        shards.score_chunks(task(seed))
        each = [spent(pid) - began for pid, began in zip(pids, before, strict=True)]
        rows.append([*np.diff(marks), *(_clock - parts), *each])
    shards._forget_decoder_set()
    drawing, alone, inference, matching, checks, judge, matcher, candidate = np.array(rows).T
    work, everything = inference + matching, judge + matcher + candidate - drawing
    found = {
        "work": work,
        "alone": alone,
        "overhead": everything - work,
        "judge": judge - drawing,
        "matcher": matcher - matching - checks,
        "checks": checks,
        "candidate": candidate - inference,
    }
    low, middle, high = np.quantile((everything - work) / work, [0.25, 0.5, 0.75])
    return {f"{name}, ms": float(np.median(times) * 1e3) for name, times in found.items()} | {
        "overhead / work": float(middle),
        "quartiles": f"{low:.3f} to {high:.3f}",
    }


def instrumented() -> Any:
    """`autoqec.scoring.shard` with forks for children, its parts timed."""
    from autoqec.runner import worker
    from autoqec.scoring import candidate_workers as workers
    from autoqec.scoring import decoder_set, matcher, predictor

    matcher.Child = workers.Child = Forked  # type: ignore[misc]
    compiling, decoding = worker.compile_inference, decoder_set.compile_decoder
    worker.compile_inference = lambda *given: timed("inference", compiling(*given))
    decoder_set.compile_decoder = lambda *given: Timed(decoding(*given))  # type: ignore[assignment]
    predictor.settle_beliefs = timed("checks", predictor.settle_beliefs)
    return shard


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
        fork_server = workers._fork_server if workers else None
        return clock_gettime((~fork_server.pid << 3) | 2) if fork_server else 0.0  # as in autoqec.scoring.predictor

    began, before = perf_counter(), 0.0 if first else of_warm()
    stages = stages_to_warm_up(own.files, load_plugins())
    with Predictor(own, problem, locked=workers is not None, stages=stages, workers=workers) as predictor:
        predictor.wait()
        wall = perf_counter() - began
        return wall * 1e3, (predictor.cpu_seconds + of_warm() - before) * 1e3


if __name__ == "__main__":
    main()
