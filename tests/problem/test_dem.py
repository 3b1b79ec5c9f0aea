"""From error models to graphs, against stim itself and against brute force."""

from itertools import product

import numpy as np
import pytest
import stim
from hypothesis import given
from hypothesis import strategies as st

from autoqec.errors import UsageError
from autoqec.problem.dem import prior_llr, read_dem
from autoqec.problem.problem import problem_from_circuit, problem_from_dem
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk, sample_labelled
from autoqec.testing import surface_problem


def parity_check(problem):
    matrix = np.zeros((problem.num_detectors, len(problem.mechanisms)), dtype=np.int64)
    start, detector = problem.mechanisms.start, problem.mechanisms.detector
    for m in range(len(problem.mechanisms)):
        matrix[detector[start[m] : start[m + 1]], m] = 1
    return matrix


def test_the_sizes_of_the_default_environment():
    """120 detectors, 1677 merged mechanisms, 5004 incidences, 502 edges of which 72 to the boundary."""
    problem = surface_problem(5, 5e-3)
    sizes = (problem.num_detectors, len(problem.mechanisms), len(problem.mechanisms.detector), len(problem.edges))
    assert sizes == (120, 1677, 5004, 502)
    assert (problem.edges.ends[:, 1] < 0).sum() == 72


def test_edges_of_a_mechanism_flip_what_the_mechanism_flips():
    problem = surface_problem(5, 5e-3)
    edges, start = problem.edges, problem.edges.start
    matrix = parity_check(problem)
    for m in range(len(problem.mechanisms)):
        used = edges.of_mechanism[start[m] : start[m + 1]]
        flips = np.zeros(problem.num_detectors + 1, dtype=np.int64)
        np.add.at(flips, edges.ends[used].ravel(), 1)  # -1, the boundary, lands in the last place
        assert (flips[:-1] % 2 == matrix[:, m]).all()
        assert (np.bitwise_xor.reduce(edges.observables[used], axis=0) == problem.mechanisms.observables[m]).all()


def test_labels_explain_syndromes():
    problem = surface_problem(3, 0.02)
    shots = sample_labelled(problem, 500, seed=5)
    fired = shots.fired.astype(np.int64)
    assert ((fired @ parity_check(problem).T) % 2 == shots.syndromes).all()
    flips = np.unpackbits(problem.mechanisms.observables, axis=1, count=problem.num_observables, bitorder="little")
    assert ((fired @ flips) % 2 == shots.observables).all()


def test_labels_fire_as_often_as_priors_say():
    problem = surface_problem(3, 0.02)
    shots = 40_000
    fired = sample_labelled(problem, shots, seed=6).fired
    priors = problem.mechanisms.priors
    z = (fired.mean(axis=0) - priors) / np.sqrt(priors * (1 - priors) / shots)
    assert abs(z).max() < 5.5
    assert abs(z.std() - 1) < 0.2


def test_merging_is_the_chance_of_an_odd_number():
    dem = stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.2) D0 L0\nerror(0.3) D0 D1\nerror(0.25) D0 L0")
    mechanisms, _ = read_dem(dem)
    odd = sum(
        np.prod([p if bit else 1 - p for p, bit in zip((0.1, 0.2, 0.25), bits, strict=True)])
        for bits in product((0, 1), repeat=3)
        if sum(bits) % 2
    )
    assert mechanisms.priors == pytest.approx([odd, 0.3])
    assert mechanisms.of_instruction.tolist() == [0, 0, 1, 0]


def test_what_no_decoder_can_see_is_left_out():
    dem = stim.DetectorErrorModel("error(0.1) L0\nerror(0) D0 L0\nerror(0.1) D0 L0\nerror(0.1) D0 ^ D0\ndetector D3")
    mechanisms, edges = read_dem(dem)
    assert len(mechanisms) == len(edges) == 1
    assert mechanisms.of_instruction.tolist() == [-1, -1, 0, -1]


def test_a_hyperedge_leaves_no_matching_graph():
    mechanisms, edges = read_dem(stim.DetectorErrorModel("error(0.1) D0 D1 D2 L0\nerror(0.1) D0"))
    assert edges is None
    assert mechanisms.start.tolist() == [0, 3, 4]


def test_repeats_and_shifts_are_flattened():
    text = "repeat 3 {\n error(0.1) D0 D1\n shift_detectors 1\n}\nerror(0.1) D0 L0"
    problem = problem_from_dem(stim.DetectorErrorModel(text), name="x")
    assert problem.edges.ends.tolist() == [[0, 1], [1, 2], [2, 3], [3, -1]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no detectors"),
        ("error(0.1) D0", "no logical observables"),
        ("error(1) D0 L0", "always fires"),
        ("detector D0\nlogical_observable L0", "no error that flips a detector"),
    ],
)
def test_models_that_cannot_be_decoded_say_why(text, reason):
    with pytest.raises(UsageError, match=reason):
        problem_from_dem(stim.DetectorErrorModel(text), name="it")


def test_a_circuit_stim_refuses_gives_one_line():
    circuit = stim.Circuit("R 0\nH 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]")
    with pytest.raises(UsageError, match="stim cannot build") as caught:
        problem_from_circuit(circuit, name="it")
    assert "\n" not in caught.value.problem


@given(st.lists(st.floats(1e-12, 1 - 1e-12), min_size=1, max_size=5))
def test_prior_llr_is_the_log_odds(values):
    priors = np.array(values)
    assert 1 / (1 + np.exp(prior_llr(priors).astype(float))) == pytest.approx(priors, rel=1e-4, abs=1e-12)


def test_a_problem_survives_the_way_through_text():
    """The process that holds a candidate rebuilds the problem from the error model's text."""
    problem = surface_problem(5, 5e-3)
    again = problem_from_dem(stim.DetectorErrorModel(str(problem.dem)), name="again")
    assert again.fingerprint == problem.fingerprint


def test_fingerprint_and_structure_tell_noise_from_code():
    one, louder, other = (surface_problem(3, p) for p in (0.005, 0.006, 0.005))
    assert one.fingerprint == other.fingerprint != louder.fingerprint
    assert one.structure == louder.structure
    assert one.structure != surface_problem(3, 5e-3, rounds=4).structure


def test_a_chunk_is_fixed_by_its_seed():
    problem = surface_problem(3, 5e-3)
    one, same, other = (sample_chunk(problem, seed) for seed in (2**64 - 1, 2**64 - 1, 1))
    assert len(one) == CHUNK_SHOTS
    assert (one.syndromes == same.syndromes).all()
    assert (one.observables == same.observables).all()
    assert (one.syndromes != other.syndromes).any()
    assert one.syndromes.shape == (CHUNK_SHOTS, problem.syndrome_bytes)
