"""Belief propagation per shot: the numba kernel against the same computation in torch, and a training step of both.

One thread. The largest difference of beliefs is relative above 1.
"""

from __future__ import annotations

from _common import arguments, microseconds, one_thread, show

one_thread()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP  # noqa: E402

from autoqec.problem.sampling import sample_labelled  # noqa: E402
from autoqec.testing import surface_problem  # noqa: E402

SEED = 20241


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, shots=(2048, "shots of the kernel"), batch=(256, "shots of torch"))
    torch.set_num_threads(1)
    problem, kind = surface_problem(5, 0.005), NeuralBP()
    syndromes, _, fired = sample_labelled(problem, options.shots, SEED)
    packed = np.packbits(syndromes, axis=1, bitorder="little")
    beliefs = np.repeat(problem.priors_llr[None], options.shots, axis=0)
    batch = options.batch
    bits, given = torch.from_numpy(syndromes[:batch]).float(), torch.from_numpy(beliefs[:batch])
    labels = torch.from_numpy(fired[:batch]).float()
    rows = []
    for algorithm in ("sum_product", "min_sum"):
        config = NeuralBPConfig(algorithm=algorithm)
        module = kind.build(config, problem)
        refine = kind.inference(config, {n: t.detach().numpy() for n, t in module.state_dict().items()}, problem)
        assert refine is not None

        def clear() -> torch.Tensor:
            with torch.no_grad():
                return module.eval()(bits, given)  # noqa: B023

        def step(training: bool) -> None:
            beliefs_now = module.train(training)(bits, given)  # noqa: B023
            torch.nn.functional.binary_cross_entropy_with_logits(-beliefs_now, labels).backward()

        found, expected = refine(packed[:batch], beliefs[:batch]), clear().numpy()
        step(True)
        kernel = microseconds(lambda: refine(packed, beliefs), options.shots)  # noqa: B023
        plain = microseconds(clear, batch, repeats=3)
        rows.append(
            {
                "algorithm": algorithm,
                "numba µs per shot": kernel,
                "torch µs per shot": plain,
                "ratio": plain / kernel,
                "largest difference": float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max()),
                "training step, compiled": microseconds(lambda: step(True), batch, repeats=3),
                "training step, autograd": microseconds(lambda: step(False), batch, repeats=2),
                "flops per shot": kind.flops_per_shot(config, problem),
            }
        )
    facts = {"problem": problem.name, "iterations": NeuralBPConfig().iterations, "seed": SEED}
    show("neural_bp", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
