"""The short belief propagation of a gate: which share of the shots it explains, and wrongly, by its memory.

On `bb72_depol`, all memories on the same shots. A shot that is explained wrongly keeps that answer, whatever the predecoder
behind the gate would have said.
"""

from __future__ import annotations

from typing import Any

from _common import arguments, microseconds, one_thread, show

one_thread()

import numpy as np  # noqa: E402

from autoqec.decoding import short_bp  # noqa: E402
from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.code_contract import build_problem  # noqa: E402
from autoqec.problem.environment import builtin_environments, find_environment  # noqa: E402
from autoqec.problem.sampling import sample_chunk  # noqa: E402
from autoqec.results.statistics import rate_interval  # noqa: E402

ENVIRONMENT = "bb72_depol"
MEMORIES = (0.0, 0.125, 0.25)
SEED = 20_261


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, chunks=(16, "chunks of 4,096 shots"), iterations=(16, "iterations"))
    loaded = find_environment(ENVIRONMENT, [builtin_environments()])
    problem = build_problem(loaded, load_plugins().maker("code"))
    chunks = [sample_chunk(problem, SEED + number) for number in range(options.chunks)]
    syndromes = np.concatenate([chunk.syndromes for chunk in chunks])
    truth = np.concatenate([chunk.observables for chunk in chunks])
    rows = []
    for memory in MEMORIES:
        short_bp.MEMORY = memory  # type: ignore[misc]
        propagation = short_bp.ShortBP(problem, options.iterations)
        found = propagation.explain(syndromes)
        wrong = found.shots & (found.observables != truth).any(axis=1)
        rows.append(_row(memory, found.shots, wrong) | {"µs per shot": _microseconds(propagation, syndromes)})
    facts = {"environment": ENVIRONMENT, "iterations": options.iterations, "seed": SEED}
    show("short_bp", rows, facts, as_json=options.json)


def _row(memory: float, explained: np.ndarray, wrong: np.ndarray) -> dict[str, Any]:
    shots = len(explained)
    return {
        "memory": memory,
        "shots": shots,
        "explained": round(float(explained.mean()), 4),
        "explained wrongly": round(float(wrong.mean()), 5),
        "explained wrongly, 95 %": str([round(end, 5) for end in rate_interval(int(wrong.sum()), shots)]),
    }


def _microseconds(propagation: short_bp.ShortBP, syndromes: np.ndarray) -> float:
    few = syndromes[:4096]
    return round(microseconds(lambda: propagation.explain(few), len(few), repeats=3), 1)


if __name__ == "__main__":
    main()
