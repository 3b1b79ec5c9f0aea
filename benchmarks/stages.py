"""Learned stages per shot on the distance-5 surface code: forward as in scoring, and forward and backward as in training.

One thread, processor time; run it with the MALLOC_ variables of `autoqec/sandbox/child.py`, which training has. `100,000 shots,
two cores` is what an epoch of so many would take if two threads shared it evenly. The loss `logical_gap` is matching's, on the
beliefs of `neural_bp`, with its derivative; what it costs is said as a multiple of that stage's forward pass.
"""

from __future__ import annotations

from time import process_time
from typing import Any

from _common import arguments, one_thread, show

one_thread()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm  # noqa: E402

from autoqec.candidate.compile import build_modules, compile_inference, module_tensors, run_modules  # noqa: E402
from autoqec.candidate.cost import measure_cost  # noqa: E402
from autoqec.candidate.schema import read_candidate  # noqa: E402
from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.problem import Problem  # noqa: E402
from autoqec.problem.sampling import sample_labelled  # noqa: E402
from autoqec.testing import surface_problem  # noqa: E402

SEED = 20241

#: Pipelines of stages as they are by default, and a few other choices.
PIPELINES: dict[str, tuple[str, ...]] = {
    "neural_bp": ("kind: neural_bp\n",),
    "gnn": ("kind: gnn\n",),
    "gnn, 1 layer": ("kind: gnn\nlayers: 1\n",),
    "gnn, hidden 16": ("kind: gnn\nhidden: 16\n",),
    "gnn, gated_mlp": ("kind: gnn\nmessage: gated_mlp\n",),
    "gnn, gru_cell": ("kind: gnn\nmessage: gru_cell\n",),
    "gnn, edge_attention": ("kind: gnn\nmessage: edge_attention\n",),
    "gnn, set_transformer": ("kind: gnn\naggregation: set_transformer\n",),
    "cnn3d": ("kind: cnn3d\n",),
    "mlp": ("kind: mlp\n",),
    "transformer": ("kind: transformer\n",),
    "neural_bp, gnn": ("kind: neural_bp\niterations: 5\nposition: 1\n", "kind: gnn\nposition: 2\n"),
}


def least(work: Any, shots: int, repeats: int) -> float:
    """Least processor time of several runs, in µs per shot: on a busy machine the wall clock measures the neighbours."""
    times = []
    for _ in range(repeats + 1):  # the first pays for loading
        begin = process_time()
        work()
        times.append(process_time() - begin)
    return min(times[1:]) / shots * 1e6


def logical_gap(problem: Problem, packed: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """What the loss costs, and what the stage does whose beliefs it is told, one right after the other."""
    candidate = read_candidate({"stages/bp/stage.yaml": b"kind: neural_bp\n"}, load_plugins().maker("stage"))
    infer = compile_inference(candidate, module_tensors(build_modules(candidate, problem)), problem)
    given = np.repeat(problem.priors_llr[None], len(packed), axis=0)
    beliefs, matching = infer(packed, given), Mwpm().compile(problem)
    gap = least(lambda: matching.logical_gap_loss(packed, beliefs, truth), len(packed), 4)
    return {
        "logical_gap µs": gap,
        "logical_gap, of neural_bp's forward": gap / least(lambda: infer(packed, given), len(packed), 4),
    }


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, shots=(512, "shots of inference"), batch=(256, "shots of a training step"))
    torch.set_num_threads(1)
    problem, makers = surface_problem(5, 0.005), load_plugins().maker("stage")
    syndromes, observables, fired = sample_labelled(problem, max(options.shots, options.batch), SEED)
    packed = np.packbits(syndromes[: options.shots], axis=1, bitorder="little")
    given = np.repeat(problem.priors_llr[None], options.shots, axis=0)
    bits, labels = (torch.from_numpy(x[: options.batch]).float() for x in (syndromes, fired))
    beliefs = torch.from_numpy(problem.priors_llr).expand(options.batch, -1).contiguous()
    rows = []
    for name, stages in PIPELINES.items():
        files = {f"stages/s{i}/stage.yaml": text.encode() for i, text in enumerate(stages)}
        candidate = read_candidate(files, makers)
        modules = build_modules(candidate, problem)
        tensors = module_tensors(modules)
        infer, cost = compile_inference(candidate, tensors, problem), measure_cost(candidate, tensors, problem)

        part = min(int(getattr(module, "shots_at_once", options.batch)) for module in modules.values())

        def step() -> None:
            for first in range(0, options.batch, part):  # noqa: B023
                shots = slice(first, first + part)  # noqa: B023
                refined = run_modules(modules, bits[shots], beliefs[shots])  # noqa: B023
                torch.nn.functional.binary_cross_entropy_with_logits(-refined, labels[shots]).backward()

        training = least(step, options.batch, 4)
        rows.append(
            {
                "pipeline": name,
                "forward µs": least(lambda: infer(packed, given), options.shots, 4),  # noqa: B023
                "training µs": training,
                "100,000 shots, two cores": f"{training / 20:.0f} s",
                "flops per shot": cost.flops_per_shot,
                "params": cost.params,
            }
        )
    facts = logical_gap(problem, packed, np.packbits(observables[: options.shots], axis=1, bitorder="little"))
    facts |= {"problem": problem.name, "incidences": len(problem.mechanisms.detector), "seed": SEED}
    show("stages", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
