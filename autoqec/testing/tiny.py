"""A tiny environment with all features of a large one, and a lab in which a round takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoqec.candidate_paths import TRAINING_FILE
from autoqec.config import CONFIG_FILE
from autoqec.history import Ledger, initialise
from autoqec.problem.problem import Problem

#: Distance 3, three rounds, noisy enough that a predecoder's gain is significant within the verifier's minimum number of shots.
#: headline_shots is large enough that the gain is significant for almost every key: at the level of a run's first attempt,
#: McNemar's exact test of untrained belief propagation against uninformative beliefs misses it for fewer than one key in a
#: hundred thousand. With half as many shots it misses it for one key in two hundred.
TINY_ENVIRONMENT = """\
name: tiny
story: Unrotated surface code, memory Z, distance 3, three rounds; for tests.
code: {kind: stim_generated, task: "surface_code:unrotated_memory_z", distance: 3, rounds: 3}
noise: {kind: depolarizing, p: [0.006]}
decoder: mwpm
references: [mwpm_correlated]
protocol: {min_shots: 16384, headline_shots: 32768}
"""

#: Settings for which a round of the tiny environment takes seconds. One worker, because starting a second one takes longer than
#: the time it saves.
TINY_CONFIG = """\
default_env = "tiny"
profile = "tiny"
jobs = 1
[profiles.tiny]
train_shots = 1024
train_seconds = 600
score_shots = 20000
verify_shots = 100000
"""


def surface_problem(distance: int, p: float, *, rounds: int | None = None, task: str = "rotated_memory_z") -> Problem:
    """Build a surface code's memory experiment with all four of stim's noise arguments equal to p, without any plugin.

    Args:
        distance: Code distance.
        p: Physical error rate.
        rounds: Syndrome-measurement rounds; by default the distance.
        task: The part of stim's task name after `surface_code:`.
    """
    import stim

    from autoqec.problem.problem import problem_from_circuit

    circuit = stim.Circuit.generated(
        f"surface_code:{task}",
        distance=distance,
        rounds=rounds or distance,
        after_clifford_depolarization=p,
        after_reset_flip_probability=p,
        before_measure_flip_probability=p,
        before_round_data_depolarization=p,
    )
    return problem_from_circuit(circuit, name=f"surface_d{distance}")


def tiny_problem() -> Problem:
    """Return the tiny environment's problem."""
    return surface_problem(3, 0.006, task="unrotated_memory_z")


def colour_problem() -> Problem:
    """A distance-3 colour code's bit-flip memory with perfect measurement: three plaquettes, annotated as Chromobius asks."""
    import stim

    from autoqec.problem.problem import problem_from_circuit

    plaquettes = [([0, 1, 2, 3], 3), ([1, 2, 4, 5], 4), ([2, 3, 5, 6], 5)]
    circuit = stim.Circuit("R 0 1 2 3 4 5 6\nX_ERROR(0.02) 0 1 2 3 4 5 6\nM 0 1 2 3 4 5 6")
    for x, (qubits, colour) in enumerate(plaquettes):
        circuit.append("DETECTOR", [stim.target_rec(q - 7) for q in qubits], [x, 0, 0, colour])
    circuit.append("OBSERVABLE_INCLUDE", [stim.target_rec(q - 7) for q in range(7)], 0)
    return problem_from_circuit(circuit, name="colour code")


def make_tiny_lab(folder: Path) -> Ledger:
    """Make a new lab with the tiny environment and profile as defaults."""
    files = {CONFIG_FILE: TINY_CONFIG, "envs/tiny.yaml": TINY_ENVIRONMENT}
    return initialise(folder, {path: text.encode() for path, text in files.items()})


def tiny_proposal(iterations: int = 4, slug: str = "bp") -> dict[str, Any]:
    """Return a Coder's reply for the tiny environment: one belief-propagation stage that trains in under a second."""
    files = {
        f"stages/{slug}/stage.yaml": f"kind: neural_bp\niterations: {iterations}\n",
        TRAINING_FILE: "shots: 512\nbatch_size: 128\n",
    }
    return {"files": files, "message": "a change"}
