"""A training step per shot drawn, part by part: as it was, every shot that is drawn, and gated shots of several shares.

Wall clock, on all threads. "as before": labels of every shot and fresh memory for each trace. The variance is that of the
gradient of a step's batch, over batches; times the processor time of a step it says what a share is worth.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from functools import partial
from time import perf_counter, process_time
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as in a training process, and before torch is imported

import numpy as np
import torch
from _common import arguments, show
from autoqec_plugins.mwpm.mwpm_decoder import CompiledMwpm, Mwpm

from autoqec.candidate.compile import build_modules
from autoqec.candidate.schema import read_candidate
from autoqec.plugins import load_plugins
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import Draw, TrainingShots
from autoqec.runner.losses import batch_loss, mean_loss
from autoqec.runner.shot_losses import ShotLosses
from autoqec.runner.shot_sources import AllShots, SampledShots, ShotSource
from autoqec.shared_threads import thread_count
from autoqec.testing import surface_problem

SEED = bytes(31) + b"\7"
STAGE = b"kind: neural_bp\niterations: 8\nsharing: per_check\ndamping: per_iteration\nlearn_prior_scale: true\n"


def best(work: Callable[[], object], repeats: int, clock: Callable[[], float] = perf_counter) -> float:
    """Least seconds of several."""
    times = []
    for _ in range(repeats):
        gc.collect()
        begin = clock()
        work()
        times.append(clock() - begin)
    return min(times)


class Labelled:
    """All shots, drawn as before: with labels, mechanism by mechanism."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def draw(self, rate: int, shots: int, seed: int, *, validation: bool = False) -> TrainingShots:
        """See `ShotSource.draw`."""
        problem, mechanisms = self._problem, self._problem.mechanisms
        bits, flips, errors = problem.dem.compile_sampler(seed=seed).sample(shots, return_errors=True)
        fired = np.zeros((shots, len(mechanisms)), dtype=bool)
        kept = np.flatnonzero(mechanisms.of_instruction >= 0)
        owner = mechanisms.of_instruction[kept]
        single = np.bincount(owner, minlength=len(mechanisms))[owner] == 1
        fired[:, owner[single]] = errors[:, kept[single]]
        for instruction, mechanism in zip(kept[~single], owner[~single], strict=True):
            fired[:, mechanism] ^= errors[:, instruction]
        packed = (np.packbits(each, axis=1, bitorder="little") for each in (bits, flips))
        return TrainingShots(*packed, fired, None, shots)


class Bench:
    """One way to train, on one problem."""

    def __init__(self, problem: Problem, decoder: CompiledMwpm, source: ShotSource, batch: int, sampling: str) -> None:
        files = {
            "training.yaml": f"loss: logical_gap\nbatch_size: {batch}\nsampling: {sampling}\n".encode(),
            "stages/bp/stage.yaml": STAGE,
        }
        candidate = read_candidate(files, load_plugins().maker("stage"))
        self.problem, self.decoder, self.source, self.batch = problem, decoder, source, batch
        self.modules = build_modules(candidate, problem).train()
        device = torch.device("cpu")
        self.losses = ShotLosses(self.modules, [problem], [decoder], source, candidate.training, device, SEED, 2048)

    def step(self, number: int) -> np.ndarray:
        """Take the gradient of a batch."""
        for parameter in self.modules.parameters():
            parameter.grad = None
        self.losses.gradients(number, 10**6)
        return torch.cat([p.grad.flatten() for p in self.modules.parameters()]).double().numpy()

    def parts(self, repeats: int) -> dict[str, float]:
        """Microseconds of each part per shot drawn; the loss has its edges in it."""
        shots = self.source.draw(0, self.batch, 1)
        count = len(shots.syndromes)
        bits = np.unpackbits(shots.syndromes, axis=1, count=self.problem.num_detectors, bitorder="little")
        given = torch.from_numpy(self.problem.priors_llr).expand(count, -1).contiguous()
        module, packed = self.modules["bp"], torch.from_numpy(bits).float()
        seconds: dict[str, list[float]] = {"forward": [], "loss": [], "backward": []}
        for _ in range(repeats):
            begin = perf_counter()
            beliefs = module(packed, given)
            forward = perf_counter()
            each = batch_loss("logical_gap", beliefs, shots, given[0], self.decoder)
            loss = perf_counter()
            mean_loss(each, shots).backward()
            for name, spent in zip(seconds, (forward - begin, loss - forward, perf_counter() - loss), strict=True):
                seconds[name].append(spent)
        drawing = best(lambda: Draw(self.problem, self.batch, 1, labels=False), repeats)
        choosing = best(lambda: self.source.draw(0, self.batch, 1), repeats)
        self.losses.validation()
        looking = best(self.losses.validation, repeats)
        scale = 1e6 / self.batch
        return {
            "sampling": drawing * scale,
            "labels or gate": (choosing - drawing) * scale,
            **{name: min(spent) * scale for name, spent in seconds.items()},
            "a look, per shot": looking / 2048 * 1e6,
        }


def variance(bench: Bench, batches: int) -> float:
    """Trace of the covariance of a step's gradient."""
    found = np.stack([bench.step(number) for number in range(batches)])
    return float(found.var(axis=0, ddof=1).sum())


def before(bench: Bench, number: int) -> np.ndarray:
    """A step with fresh memory for its trace."""
    bench.modules["bp"]._traces._spare.clear()
    return bench.step(number)


def rows_of(distance: int, batch: int, batches: int, repeats: int) -> list[dict[str, Any]]:
    """All ways to train at one distance."""
    problem = surface_problem(distance, 0.005)
    decoder = Mwpm().compile(problem)
    ways: list[tuple[str, ShotSource, str]] = [
        ("as before", Labelled(problem), "all"),
        ("all", AllShots([problem], labels=False), "all"),
    ]
    for share in (0.05, 0.125, 0.25, 0.5):
        ways.append((f"gated, {share}", SampledShots([problem], [decoder], share, labels=False), "gated"))
    rows, reference = [], 0.0
    for name, source, sampling in ways:
        bench = Bench(problem, decoder, source, batch, sampling)
        bench.step(0)
        take = before if name == "as before" else Bench.step
        step = best(partial(take, bench, 1), repeats) / batch * 1e6
        processor = best(partial(take, bench, 1), repeats, process_time) / batch * 1e6
        spread = variance(bench, batches) if name != "as before" else None
        reference = spread * processor if spread and name == "all" else reference
        rows.append(
            {
                "distance": f"d{distance}", "way": name, **bench.parts(repeats), "step": step, "its processor time": processor,
                "variance": spread,
                "variance × time, all = 1": spread * processor / reference if spread and reference else None,
            }
        )  # fmt: skip
        del bench
    return rows


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__, batch=(2048, "shots drawn in a step"), batches=(24, "batches for a variance"), repeats=(3, "repeats")
    )
    torch.set_num_threads(2)
    rows = [row for d in (5, 7) for row in rows_of(d, options.batch, options.batches, options.repeats)]
    facts = {"unit": "µs per shot drawn, wall clock", "threads": thread_count(), "batch": options.batch}
    show("training", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
