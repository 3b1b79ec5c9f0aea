"""The complementary gap of plain matching, per shot, at distances 5, 7 and 9; beside PyMatching alone and two calls of it.

The two calls match with the observable as one more detector, which fires in one of them; the difference of their weights is the
gap, and every gap is compared with it. All ways decode the same shots with the same weights. One thread, and its processor time,
because other programs on the machine would change the ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from _common import arguments, one_thread, show

one_thread()

import numpy as np  # noqa: E402
import pymatching  # noqa: E402
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm  # noqa: E402

from autoqec.problem.problem import Problem  # noqa: E402
from autoqec.problem.sampling import sample_chunk  # noqa: E402
from autoqec.testing import surface_problem  # noqa: E402

SEED = 20242

#: Distance (and rounds), error rate, and a threshold of a gate in nats.
CASES = ((5, 0.005, 4.4), (7, 0.005, 5.8), (9, 0.003, 5.8), (9, 0.005, 5.8))


def forced(problem: Problem) -> pymatching.Matching:
    """PyMatching's graph with the observable as one more detector; its edges all lead to the boundary."""
    matching = pymatching.Matching()
    for a, b, fields in pymatching.Matching.from_detector_error_model(problem.dem).edges():
        if b is not None or fields["fault_ids"]:
            matching.add_edge(a, problem.num_detectors if b is None else b, weight=fields["weight"])
        else:
            matching.add_boundary_edge(a, weight=fields["weight"])
    return matching


def microseconds(work: Callable[[], object], shots: int) -> float:
    """Least processor time of several, per shot."""
    times = []
    for _ in range(5):
        begin = process_time()
        work()
        times.append(process_time() - begin)
    return min(times) / shots * 1e6


def rows_of(distance: int, p: float, threshold: float, shots: int) -> list[dict[str, object]]:
    """Measure one code."""
    problem = surface_problem(distance, p)
    syndromes = np.ascontiguousarray(sample_chunk(problem, SEED).syndromes[:shots])
    bits = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    both = [np.concatenate([bits, np.full((len(bits), 1), side, np.uint8)], axis=1) for side in (0, 1)]
    graph = forced(problem)
    compiled = Mwpm().compile(problem)
    gaps = compiled.confidence(syndromes)  # compiles, and makes the tables
    weights = [graph.decode_batch(side, return_weights=True)[1] for side in both]
    expected = np.abs(weights[1] - weights[0])
    limited = compiled.confidence(syndromes, threshold)
    near = expected <= threshold
    right = np.abs(gaps - expected) < 1e-3
    right &= np.where(near, np.abs(limited - expected) < 1e-3, limited > threshold)

    def two_calls() -> None:
        for side in both:
            graph.decode_batch(side, return_weights=True)

    plain = microseconds(lambda: compiled.decode(syndromes), len(syndromes))
    ways = {
        "PyMatching": plain,
        "PyMatching, two calls": microseconds(two_calls, len(syndromes)),
        f"answer and gap up to {threshold}": microseconds(
            lambda: compiled.decode_with_confidence(syndromes, threshold), len(syndromes)
        ),
        "answer and gap": microseconds(lambda: compiled.decode_with_confidence(syndromes), len(syndromes)),
    }
    facts = {"share sent": float(near.mean()), "gaps right": f"{right.sum()} of {len(right)}"}
    return [
        {"distance": distance, "p": p, "way": way, "µs per shot": time, "beyond plain": time - plain, **facts}
        for way, time in ways.items()
    ]


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, shots=(4096, "shots"))
    rows = [row for case in CASES for row in rows_of(*case, options.shots)]
    show("gap", rows, {"seed": SEED}, as_json=options.json)


if __name__ == "__main__":
    main()
