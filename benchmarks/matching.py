"""Matching with other weights in every shot, against rebuilding PyMatching's graph or the whole error model per shot.

The weights are those of a real predecoder, eight iterations of belief propagation. All ways solve the same integer
weights, and the weight of the solution is compared on every shot of the sample. One thread.
"""

from __future__ import annotations

from _common import arguments, microseconds, one_thread, show

one_thread()

import numpy as np  # noqa: E402
import pymatching  # noqa: E402
import stim  # noqa: E402
from autoqec_plugins.mwpm.matching_kernel import WEIGHTS_PER_NAT  # noqa: E402
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP  # noqa: E402

from autoqec.decoding import edge_log_odds, edge_uses  # noqa: E402
from autoqec.problem.problem import Problem  # noqa: E402
from autoqec.problem.sampling import sample_chunk  # noqa: E402
from autoqec.testing import surface_problem  # noqa: E402

SEED = 20240


def rebuilt_matching(problem: Problem, weights: np.ndarray) -> pymatching.Matching:
    """PyMatching's graph with these weights, from its arrays."""
    matching = pymatching.Matching()
    for (a, b), weight, flips in zip(
        problem.edges.ends.tolist(), weights.tolist(), problem.edges.observables[:, 0].tolist(), strict=True
    ):
        if b < 0:
            matching.add_boundary_edge(a, weight=weight, fault_ids={0} if flips else set())
        else:
            matching.add_edge(a, b, weight=weight, fault_ids={0} if flips else set())
    return matching


def rebuilt_edges(problem: Problem, log_odds: np.ndarray) -> pymatching.Matching:
    """PyMatching's graph from a new error model of one error per edge."""
    model = stim.DetectorErrorModel()
    for (a, b), value, flips in zip(
        problem.edges.ends.tolist(), log_odds.tolist(), problem.edges.observables[:, 0].tolist(), strict=True
    ):
        targets = [stim.target_relative_detector_id(d) for d in (a, b) if d >= 0]
        targets += [stim.target_logical_observable_id(0)] if flips else []
        model.append("error", 1 / (1 + float(np.exp(value))), targets)
    return pymatching.Matching.from_detector_error_model(model)


def rebuilt_dem(problem: Problem, beliefs: np.ndarray) -> pymatching.Matching:
    """PyMatching's graph from the whole error model with the beliefs as probabilities: what one writes first.

    Its weights are PyMatching's own from there on, so only its time is compared.
    """
    model = stim.DetectorErrorModel()
    instructions = [line for line in problem.dem if line.type == "error"]
    for line, mechanism in zip(instructions, problem.mechanisms.of_instruction.tolist(), strict=True):
        probability = 1 / (1 + float(np.exp(beliefs[mechanism]))) if mechanism >= 0 else 0.0
        model.append("error", probability, line.targets_copy())
    return pymatching.Matching.from_detector_error_model(model)


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, shots=(4096, "shots of the fast way"), sample=(400, "shots compared and rebuilt"))
    problem = surface_problem(5, 0.005)
    shots = sample_chunk(problem, SEED)
    syndromes = np.ascontiguousarray(shots.syndromes[: options.shots])
    sample = min(options.sample, len(syndromes))
    kind, config = NeuralBP(), NeuralBPConfig()
    refine = kind.inference(config, {"scale": np.full((config.iterations, 1), 0.9, np.float32)}, problem)
    assert refine is not None
    beliefs = refine(syndromes, np.repeat(problem.priors_llr[None], len(syndromes), axis=0))
    uses = edge_uses(problem.edges)
    log_odds = edge_log_odds(beliefs, uses)
    weights = np.rint(log_odds * np.float32(WEIGHTS_PER_NAT)).astype(np.int64)
    bits = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    compiled = Mwpm().compile(problem)
    compiled.decode(syndromes, beliefs)  # compiles, and makes the solvers

    fast = microseconds(lambda: compiled.decode(syndromes, beliefs), len(syndromes))
    edges = microseconds(lambda: edge_log_odds(beliefs, uses), len(syndromes))
    static = microseconds(lambda: compiled.decode(syndromes), len(syndromes))
    graph = microseconds(
        lambda: [rebuilt_matching(problem, weights[i]).decode(bits[i]) for i in range(sample)], sample, repeats=2
    )
    few = max(sample // 8, 1)
    by_edge = microseconds(
        lambda: [rebuilt_edges(problem, log_odds[i]).decode(bits[i]) for i in range(few)], few, repeats=2
    )
    model = microseconds(lambda: [rebuilt_dem(problem, beliefs[i]).decode(bits[i]) for i in range(few)], few, repeats=2)

    observables, invalid, total = compiled.match(syndromes[:sample], log_odds[:sample])
    same = ties = 0
    for shot in range(sample):
        prediction, weight = rebuilt_matching(problem, weights[shot]).decode(bits[shot], return_weight=True)
        same += int(weight == total[shot])
        ties += int(prediction[0] != observables[shot, 0])
    rows = [
        {"way": "weights per shot (this decoder)", "µs per shot": fast, "times slower": 1.0},
        {"way": "  of which beliefs to edge weights", "µs per shot": edges, "times slower": edges / fast},
        {"way": "PyMatching, graph rebuilt per shot", "µs per shot": graph, "times slower": graph / fast},
        {"way": "PyMatching, model of edges rebuilt per shot", "µs per shot": by_edge, "times slower": by_edge / fast},
        {"way": "PyMatching, whole model rebuilt per shot", "µs per shot": model, "times slower": model / fast},
        {"way": "PyMatching, static weights", "µs per shot": static, "times slower": static / fast},
    ]
    facts = {
        "problem": problem.name,
        "seed": SEED,
        "identical solution weights": f"{same} of {sample}",
        "different observables (ties)": ties,
        "invalid": int(invalid.sum()),
    }
    show("matching", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
