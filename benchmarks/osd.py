"""Ordered-statistics decoding on given beliefs, against ldpc's own BP(30)+OSD-0, per shot, on the [[72,12,6]] code.

The beliefs are those of a real predecoder, five iterations of belief propagation; its own time is a row, too. Shots, seed
and thread are the same for all. One thread.
"""

from __future__ import annotations

from _common import arguments, microseconds, one_thread, show

one_thread()

import numpy as np  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP  # noqa: E402
from autoqec_plugins.osd.osd_config import check_matrix  # noqa: E402
from autoqec_plugins.osd.osd_decoder import Osd  # noqa: E402
from ldpc.bposd_decoder import BpOsdDecoder  # noqa: E402

from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.code_contract import build_problem  # noqa: E402
from autoqec.problem.environment import builtin_environments, find_environment  # noqa: E402
from autoqec.problem.problem import Problem  # noqa: E402
from autoqec.problem.sampling import sample_chunk  # noqa: E402

SEED = 20241


def ldpc_decoder(problem: Problem, method: str, order: int, iterations: int) -> BpOsdDecoder:
    """The decoder of ldpc, with the problem's priors."""
    return BpOsdDecoder(
        check_matrix(problem),
        error_channel=problem.mechanisms.priors.tolist(),
        max_iter=iterations,
        bp_method="product_sum",
        osd_method=method,
        osd_order=order,
    )


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, shots=(4096, "shots of the fast ways"), sample=(400, "shots of ldpc's"))
    loaded = find_environment("bb72_depol", [builtin_environments()])
    problem = build_problem(loaded, load_plugins().maker("code"))
    shots = sample_chunk(problem, SEED)
    syndromes, truth = (np.ascontiguousarray(a[: options.shots]) for a in (shots.syndromes, shots.observables))
    sample = min(options.sample, len(syndromes))
    bits = np.unpackbits(syndromes[:sample], axis=1, count=problem.num_detectors, bitorder="little")
    kind, config = NeuralBP(), NeuralBPConfig(iterations=5)
    refine = kind.inference(config, {"scale": np.full((config.iterations, 1), 0.9, np.float32)}, problem)
    assert refine is not None
    priors = np.repeat(problem.priors_llr[None], len(syndromes), axis=0)
    beliefs = refine(syndromes, priors)
    zero = Osd().compile(problem)
    sweep = Osd(method="osd_cs", order=10).compile(problem)
    for compiled in (zero, sweep):
        compiled.decode(syndromes[:64], beliefs[:64])  # compiles

    def rate(compiled: object) -> float:
        return float(compiled.decode(syndromes, beliefs).failures(truth).mean())  # type: ignore[attr-defined]

    theirs = ldpc_decoder(problem, "osd_0", 0, 30)
    told = ldpc_decoder(problem, "osd_0", 0, 1)
    channel = 1 / (1 + np.exp(beliefs[:sample].astype(np.float64)))

    def updated() -> None:
        for shot in range(sample):
            told.update_channel_probs(channel[shot])
            told.decode(bits[shot])

    base = microseconds(lambda: [theirs.decode(row) for row in bits], sample, repeats=3)
    ways = {
        "ldpc, BP(30)+OSD-0": base,
        "beliefs → OSD-0 (this decoder)": microseconds(lambda: zero.decode(syndromes, beliefs), len(syndromes)),
        "beliefs → OSD-CS10 (this decoder)": microseconds(
            lambda: sweep.decode(syndromes, beliefs), len(syndromes), repeats=3
        ),
        "ldpc, update_channel_probs, BP(1)+OSD-0": microseconds(updated, sample, repeats=3),
        "the predecoder itself, BP(5)": microseconds(lambda: refine(syndromes, priors), len(syndromes)),
    }
    rows = [{"way": way, "µs per shot": time, "of ldpc's": time / base} for way, time in ways.items()]
    plain = zero.decode(syndromes[:sample]).failures(truth[:sample])
    facts = {
        "problem": problem.name,
        "seed": SEED,
        f"LER of BP(30)+OSD-0, {sample} shots": float(plain.mean()),
        f"LER of BP(5) → OSD-0, {len(syndromes)} shots": rate(zero),
        f"LER of BP(5) → OSD-CS10, {len(syndromes)} shots": rate(sweep),
    }
    show("osd", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
