"""A small environment that has everything a large one has, and a lab in which a round takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoqec.config import CONFIG_FILE
from autoqec.history import Ledger, initialise
from autoqec.problem.problem import Problem

#: Distance 3, three rounds, noisy enough that a predecoder's gain shows within the verifier's minimum of shots, and on so many
#: shots for the figures that it shows whatever they are: at the level of a run's first attempt the exact test of McNemar, of
#: untrained belief propagation against beliefs that say nothing, misses it for fewer than one key in a hundred thousand. Half as
#: many shots miss it for one in two hundred.
TINY_ENVIRONMENT = """\
name: tiny
story: Unrotated surface code, memory Z, distance 3, three rounds; for tests.
code: {kind: stim_generated, task: "surface_code:unrotated_memory_z", distance: 3, rounds: 3}
noise: {kind: depolarizing, p: [0.006]}
decoder: mwpm
references: [mwpm_correlated]
protocol: {min_shots: 16384, headline_shots: 32768}
"""

#: Settings under which a round of the tiny environment takes seconds. One worker, since starting a second takes longer than
#: what it could take off the first.
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
    """A surface code's memory experiment, all four of stim's noise arguments p, made without any plugin.

    Args:
        distance: Code distance.
        p: Physical error rate.
        rounds: Syndrome-measurement rounds; the distance by default.
        task: What follows `surface_code:` in stim's name of it.
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
    """The tiny environment's problem."""
    return surface_problem(3, 0.006, task="unrotated_memory_z")


def make_tiny_lab(folder: Path) -> Ledger:
    """A new lab whose default environment and profile are the tiny ones."""
    files = {CONFIG_FILE: TINY_CONFIG, "envs/tiny.yaml": TINY_ENVIRONMENT}
    return initialise(folder, {path: text.encode() for path, text in files.items()})


def tiny_proposal(iterations: int = 4, slug: str = "bp") -> dict[str, Any]:
    """A Coder's reply for the tiny environment: one belief-propagation stage, trained in a blink."""
    files = {
        f"stages/{slug}/stage.yaml": f"kind: neural_bp\niterations: {iterations}\n",
        "training.yaml": "shots: 512\nbatch_size: 128\n",
    }
    return {"files": files, "message": "a change"}
