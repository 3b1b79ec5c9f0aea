"""Both classes' solutions of fixed shots, ties included, are those of the first version, which searched shot by shot."""

import hashlib

import numpy as np
import pytest
from autoqec_plugins.mwpm.boundary_sweeps import LANES, sweep, sweeps_of, unload
from autoqec_plugins.mwpm.class_solutions import solve_classes
from autoqec_plugins.mwpm.cover import double_cover, search_from_boundary
from autoqec_plugins.mwpm.matching_kernel import WEIGHTS_PER_NAT
from autoqec_plugins.mwpm.weighing import makings

from autoqec.testing import surface_problem

#: Distance and mean number of errors → hashes of observables, believed weights and names, the sum of the weights, and how many
#: shots have a cluster that is too large.
PINNED = {
    (3, 3): (400, ["319fbbb4acc79b17", "092fddead631ef19", "5f200a5f5c0f2475"], 12677.162, 0),
    (5, 7): (400, ["8bb32ea66d47abb3", "2fae4b73a3ca1574", "01f331c3764259fa"], 31607.491, 49),
    (7, 9): (300, ["a7ab783a8d30dfb4", "93dfe326bd8d6b77", "95e6c006fe179636"], 22299.766, 118),
}


def uniform(shape, seed):
    """Numbers that no version of numpy changes."""
    raw = np.random.Philox(key=[seed, 0]).random_raw(shape[0] * shape[1])
    return ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def shots_of(problem, shots, seed, errors):
    """Syndromes and log-odds; a few of these are negative, and in the second half all are whole, so that many solutions tie."""
    shape = (shots, len(problem.edges))
    odds = np.rint((4.0 + (uniform(shape, seed) - 0.5) * 6) * 1024) / 1024
    fires = uniform(shape, seed + 1000) < errors * np.exp(-odds) / np.exp(-odds).sum(axis=1, keepdims=True)
    bits = np.zeros((shots, problem.num_detectors), dtype=np.uint8)
    for shot, edge in zip(*np.nonzero(fires), strict=True):
        for end in problem.edges.ends[edge]:
            if end >= 0:
                bits[shot, end] ^= 1
    odds[:, ::397] *= -0.5
    odds[shots // 2 :] = np.rint(odds[shots // 2 :])
    odds = (np.rint(odds * 1024) / 1024).astype(np.float32)
    return np.packbits(bits, axis=1, bitorder="little"), odds


def graph_of(problem):
    parity = problem.edges.observables[:, 0].copy()
    cover = double_cover(problem.edges, problem.num_detectors)
    return parity, cover, sweeps_of(parity, cover)


@pytest.mark.parametrize("case", PINNED, ids=str)
def test_solutions_of_fixed_shots_are_the_first_versions(case):
    distance, errors = case
    shots, hashes, total, too_large = PINNED[case]
    problem = surface_problem(distance, 0.01 if distance == 3 else 0.005)
    syndromes, odds = shots_of(problem, shots, distance, errors)
    made = makings(problem.edges, problem.priors_llr)
    observables, weights = np.zeros((shots, 2, 1), np.uint8), np.full((shots, 2), np.inf, np.float32)
    believed, names, left_out = np.zeros((shots, 2), np.float32), np.zeros((shots, 2), np.uint64), np.zeros(shots, bool)
    solve_classes(
        syndromes, odds, *graph_of(problem), problem.edges.observables, made, observables, weights, believed, names, left_out
    )  # fmt: skip
    found = [np.ascontiguousarray(each[~left_out]) for each in (observables, believed, names)]
    assert left_out.sum() == too_large
    assert [hashlib.sha256(each.tobytes()).hexdigest()[:16] for each in found] == hashes
    assert weights[~left_out].sum(dtype=np.float64) == pytest.approx(total, rel=1e-5)


def test_sweeps_find_the_distances_of_a_search():
    problem = surface_problem(5, 0.005)
    parity, cover, sweeps = graph_of(problem)
    _, odds = shots_of(problem, LANES - 3, 1, 5)
    edges, nodes = odds.shape[1], 2 * problem.num_detectors
    across, near = np.zeros((edges, LANES), np.int32), np.empty((nodes, LANES), np.int32)
    sweep(odds, np.float32(WEIGHTS_PER_NAT), parity, cover, sweeps, across, near)
    swept, searched, arrival = np.empty(nodes, np.int64), np.empty(nodes, np.int64), np.empty(nodes, np.int32)
    for shot, row in enumerate(odds):
        unload(near, shot, swept)
        weight = np.abs(np.rint(row * WEIGHTS_PER_NAT)).astype(np.int64)
        search_from_boundary(np.empty(4 * edges + 2, np.int64), weight, parity, cover, searched, arrival)
        assert np.array_equal(swept, searched)


def test_without_a_boundary_there_is_nothing_to_sweep():
    import stim

    from autoqec.problem.problem import problem_from_dem

    ring = "error(0.1) D0 D1\nerror(0.1) D1 D2\nerror(0.1) D2 D0 L0"
    assert graph_of(problem_from_dem(stim.DetectorErrorModel(ring), name="ring"))[2].edge.shape == (2, 0)
