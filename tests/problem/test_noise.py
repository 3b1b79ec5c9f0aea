"""Noise as a pass: against stim's own, layer by layer, and what each kind is for."""

import numpy as np
import pytest
import stim

from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import (
    ENVIRONMENT_FILE,
    builtin_environments,
    environment_from_files,
    find_environment,
)
from autoqec.problem.noise import Noise
from autoqec.problem.noisy import add_noise
from autoqec.problem.problem import problem_from_circuit
from autoqec.problem.sampling import sample_chunk

ENVIRONMENT = """\
name: it
code: {{kind: stim_generated, task: "{task}", distance: 3, rounds: 3}}
noise: {noise}
decoder: mwpm
"""
TASKS = [
    "surface_code:rotated_memory_x",
    "surface_code:rotated_memory_z",
    "surface_code:unrotated_memory_x",
    "surface_code:unrotated_memory_z",
    "repetition_code:memory",
    "color_code:memory_xyz",
]


def generated(noise, task=TASKS[1]):
    text = ENVIRONMENT.format(task=task, noise=noise)
    loaded = environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="e.yaml")
    return build_problem(loaded, load_plugins().maker("code"))


def marked(task=TASKS[1], rounds=3):
    """Stim's circuit with its rounds marked, by way of the text a user would write."""
    text = str(stim.Circuit.generated(task, distance=3, rounds=rounds, before_round_data_depolarization=0.25))
    return stim.Circuit(text.replace("DEPOLARIZE1(0.25)", "I[round]"))


def noisy_problem(kind, **more):
    return problem_from_circuit(add_noise(marked(**more), Noise(kind=kind, p=(0.01,)), 0.01), name="ours")


@pytest.mark.parametrize("task", TASKS)
def test_depolarizing_is_what_stim_calls_it(task):
    """The pass over the marked circuit gives the error model of stim's four arguments, for each family of codes."""
    theirs = generated("{kind: depolarizing, p: [0.01]}", task)
    assert noisy_problem("depolarizing", task=task).fingerprint == theirs.fingerprint


@pytest.mark.parametrize(
    ("kind", "rounds", "more"),
    [("phenomenological", 3, {"before_measure_flip_probability": 0.01}), ("code_capacity", 1, {})],
)
def test_simpler_noise_is_a_part_of_stims(kind, rounds, more):
    theirs = stim.Circuit.generated(TASKS[1], distance=3, rounds=rounds, before_round_data_depolarization=0.01, **more)
    assert noisy_problem(kind, rounds=rounds).fingerprint == problem_from_circuit(theirs, name="theirs").fingerprint


def test_code_capacity_acts_once():
    assert len(noisy_problem("code_capacity", rounds=2).mechanisms) == len(
        noisy_problem("code_capacity", rounds=5).mechanisms
    )


def test_si1000_layer_by_layer():
    """Table of Gidney et al. 2021: reset 2p, one-qubit gate p/10, two-qubit gate p, result 5p, idle p/10, bystander 2p."""
    circuit = stim.Circuit("R 0 1\nTICK\nI[round] 0 2\nH 0\nTICK\nCX 0 1\nTICK\nMR 1\nDETECTOR rec[-1]\nTICK\nM 0 2")
    noisy = add_noise(circuit, Noise(kind="si1000", p=(0.001,)), 0.001)
    assert noisy == stim.Circuit("""
        R 0 1
        X_ERROR(0.002) 0 1
        DEPOLARIZE1(0.0001) 2
        DEPOLARIZE1(0.002) 2
        TICK
        H 0
        DEPOLARIZE1(0.0001) 0
        DEPOLARIZE1(0.0001) 1 2
        TICK
        CX 0 1
        DEPOLARIZE2(0.001) 0 1
        DEPOLARIZE1(0.0001) 2
        TICK
        X_ERROR(0.005) 1
        MR 1
        X_ERROR(0.002) 1
        DETECTOR rec[-1]
        DEPOLARIZE1(0.0001) 0 2
        DEPOLARIZE1(0.002) 0 2
        TICK
        X_ERROR(0.005) 0 2
        M 0 2
        DEPOLARIZE1(0.0001) 1
        DEPOLARIZE1(0.002) 1
    """)


def test_biased_noise_has_its_rate_and_its_bias():
    noise = Noise(kind="biased", p=(0.03,), eta=10.0)
    one, pair = (
        next(g for g in add_noise(stim.Circuit(c), noise, 0.03) if g.name.startswith("PAULI"))
        for c in ("H 0", "CX 0 1")
    )
    x, y, z = one.gate_args_copy()
    assert (x + y + z, z / (x + y)) == pytest.approx((0.03, 10.0))
    pairs = np.array([0.0, *pair.gate_args_copy()]).reshape(4, 4)  # first qubit's Pauli, second's, in the order I X Y Z
    dephasing = pairs[np.ix_([0, 3], [0, 3])].sum()
    assert (pairs.sum(), dephasing / (pairs.sum() - dephasing)) == pytest.approx((0.03, 10.0))


def test_bias_protects_one_basis_and_not_the_other():
    rates = {}
    for basis in "xz":
        problem = generated("{kind: biased, p: [0.02], eta: 100}", f"surface_code:rotated_memory_{basis}")
        rates[basis] = np.unpackbits(sample_chunk(problem, 5).observables, axis=1).mean()
    assert rates["x"] > 1.3 * rates["z"]  # Z errors flip what is kept in the X basis


def test_erasures_are_reported_where_they_happen():
    """Each data qubit has a detector a round; where none fires, and errors are erasures only, nothing is wrong."""
    problem = generated("{kind: erasure, p: [0.05], erased: 1}")
    data = [[x, y] for x in (1, 3, 5) for y in (1, 3, 5)]
    heralds = [d for d, place in problem.circuit.get_detector_coordinates().items() if place[:2] in data]
    assert problem.num_detectors == generated("{kind: depolarizing, p: [0.05]}").num_detectors + len(heralds)
    assert len(heralds) == 9 * 3
    shots = sample_chunk(problem, 7)
    bits = np.unpackbits(shots.syndromes, axis=1, bitorder="little")[:, : problem.num_detectors]
    assert bits[:, heralds].mean() == pytest.approx(0.05, abs=0.003)
    quiet = ~bits[:, heralds].any(axis=1)
    assert 0 < quiet.sum() < len(bits)
    assert not bits[quiet].any()
    assert not shots.observables[quiet].any()


def test_feedback_and_pair_measurements_keep_their_records():
    circuit = stim.Circuit("R 0 1 2\nI[round] 0 1\nMXX 0 1\nCX rec[-1] 2\nM 2\nDETECTOR rec[-1] rec[-2]")
    noisy = add_noise(circuit, Noise(kind="erasure", p=(0.1,), erased=0.5), 0.1)
    noisy.detector_error_model(approximate_disjoint_errors=True)  # raises if the detector lost its records
    assert noisy.num_detectors == 3
    assert "MXX(0.05) 0 1" in str(noisy)
    assert "DEPOLARIZE2" not in str(noisy)


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        ("X_ERROR(0.1) 0\nM 0", "already has noise, X_ERROR(0.1) 0"),
        ("M(0.1) 0", "already has noise"),
        ("M 0", "does not mark rounds"),
    ],
)
def test_a_circuit_the_pass_cannot_be_sure_of_is_refused(circuit, reason):
    with pytest.raises(UsageError) as caught:
        add_noise(stim.Circuit(circuit), Noise(kind="phenomenological", p=(0.1,)), 0.1)
    assert reason in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        ("{kind: leakage, p: [0.01]}", "noise.kind: stim cannot simulate leakage"),
        ("{kind: biased, p: [0.01]}", "needs eta"),
        ("{kind: depolarizing, p: [0.01], eta: 3}", "has no eta"),
        (
            "{kind: erasure, p: [0.01], erased: 1.5}",
            "noise.erased: must be a number above 0 and at most 1, or null, not 1.5",
        ),
        (
            "{kind: biased, p: [0.01], eta: 0}",
            "noise.eta: must be a number above 0 and at most 1,000,000, or null, not 0",
        ),
        ("{kind: given}", "this code needs a noise model"),
    ],
)
def test_noise_that_cannot_be_is_explained(noise, reason):
    with pytest.raises(UsageError) as caught:
        generated(noise)
    assert reason in caught.value.problem


def test_identities_of_old_never_change():
    """Labs in the world have rounds on it: a new field of the schema must not change what is hashed."""
    loaded = find_environment("surface_d5_depol", [builtin_environments()])
    assert loaded.identity == "1d4245f446f07b7ced5ec4315c87dd192a8bf25c640db3cf411ca04b96812ed3"
