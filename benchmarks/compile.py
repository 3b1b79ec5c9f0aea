"""Time and memory of compiling a problem against its size, as a ratio to PyMatching in the same run.

Processor time, because the machine may be shared; memory is the largest resident size of a process of its own for each size. Both
sides start from the same circuit: stim's decomposed error model is made for both, and is told apart.

    python benchmarks/compile.py [--distance 21] [--json]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

from _common import arguments, one_thread, show

one_thread()

#: Two detectors with errors, and so many that nothing flips.
ISLANDS = "error(0.1) D0 D%d L0\nerror(0.1) D0\nerror(0.1) D%d"


def measured(kind: str, size: int) -> dict[str, Any]:
    """Compile one problem in this process."""
    import pymatching
    import stim

    from autoqec.plugins import load_plugins
    from autoqec.problem.problem import problem_from_dem
    from autoqec.problem.sampling import sample_chunk
    from autoqec.testing import surface_problem

    mwpm = load_plugins().get("decoder", "mwpm").create()
    mwpm.compile(surface_problem(3, 0.003)).decode(sample_chunk(surface_problem(3, 0.003), 1).syndromes)
    steps: dict[str, float] = {}

    def timed(name: str, work: Any) -> Any:
        began = time.process_time()
        found = work()
        steps[name] = time.process_time() - began
        return found

    if kind == "surface":
        circuit = stim.Circuit.generated(
            "surface_code:rotated_memory_z",
            distance=size,
            rounds=size,
            after_clifford_depolarization=0.003,
            after_reset_flip_probability=0.003,
            before_measure_flip_probability=0.003,
            before_round_data_depolarization=0.003,
        )
        model = timed("error model", lambda: circuit.detector_error_model(decompose_errors=True))
    else:
        model = stim.DetectorErrorModel(ISLANDS % (size, size))
    syndromes = model.compile_sampler(seed=1).sample(64, bit_packed=True)[0]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def theirs() -> None:
        pymatching.Matching.from_detector_error_model(model).decode_batch(syndromes, bit_packed_shots=True)

    timed("pymatching", theirs)
    problem = timed("problem", lambda: problem_from_dem(model, name="it"))
    timed("mwpm", lambda: mwpm.compile(problem).decode(syndromes))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = steps["problem"] + steps["mwpm"]
    return {
        "kind": kind,
        "size": size,
        "mechanisms": len(problem.mechanisms),
        "stim's error model": round(steps.get("error model", 0.0), 4),
        "PyMatching": round(steps["pymatching"], 4),
        "problem": round(steps["problem"], 4),
        "mwpm": round(steps["mwpm"], 4),
        "times PyMatching": round(ours / steps["pymatching"], 2),
        "\u00b5s per mechanism": round(1e6 * ours / len(problem.mechanisms), 2),
        "MiB": round((after - before) / 1024, 1),
    }


def main() -> None:
    """Measure each size in a process of its own."""
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        print(json.dumps(measured(sys.argv[2], int(sys.argv[3]))))
        return
    given = arguments("Time and memory of compiling a problem.", distance=(21, "largest distance"))
    rows = []
    sizes = [("surface", d) for d in (5, 9, 13, 17, 21) if d <= given.distance]
    for kind, size in [*sizes, *(("islands", size) for size in (3_000, 30_000, 190_000))]:
        command = [sys.executable, __file__, "--one", kind, str(size)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    show("compile", rows, {"time": "processor seconds, decoding 64 shots included"}, as_json=given.json)


if __name__ == "__main__":
    main()
