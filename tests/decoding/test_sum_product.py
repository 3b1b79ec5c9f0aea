"""Sum-product belief propagation: its beliefs, by the textbook, of the shots that it does not explain."""

import numpy as np
import pytest
import stim

from autoqec.decoding.flipping import syndromes_of_mechanisms
from autoqec.decoding.sum_product import SumProduct
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import surface_problem


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.02)


def slowly(problem, syndrome, iterations):
    """The same messages in double precision, one after the other: the beliefs, and whether they explain the syndrome."""
    columns = np.unpackbits(syndromes_of_mechanisms(problem), axis=1, count=problem.num_detectors, bitorder="little")
    fired = np.unpackbits(syndrome, count=problem.num_detectors, bitorder="little")
    total = priors = problem.priors_llr.astype(float)
    messages = np.zeros_like(columns, dtype=float)
    for _ in range(iterations):
        tanh = np.tanh((total[:, None] - messages) / 2)
        messages = np.zeros_like(messages)
        for detector in range(problem.num_detectors):
            members = np.flatnonzero(columns[:, detector])
            for m in members:
                messages[m, detector] = 2 * np.arctanh(
                    tanh[members[members != m], detector].prod() * (-1.0) ** fired[detector]
                )
        total = priors + messages.sum(axis=1)
        if ((columns.T @ (total < 0)) % 2 == fired).all():
            return total, True
    return total, False


def test_it_is_belief_propagation(problem):
    syndromes = sample_chunk(problem, 3).syndromes[:60]
    found = SumProduct(problem, 4).run(syndromes, beliefs=True)
    beliefs = iter(found.beliefs)
    for shot, syndrome in enumerate(syndromes):
        expected, explained = slowly(problem, syndrome, 4)
        assert found.explained[shot] == explained
        if explained:
            flips = np.bitwise_xor.reduce(problem.mechanisms.observables[expected < 0], axis=0, initial=0)
            assert (found.observables[shot] == flips).all()
        else:
            assert next(beliefs) == pytest.approx(expected, rel=1e-3, abs=1e-3)
            assert not found.observables[shot].any()
    assert next(beliefs, None) is None
    assert 0.2 < found.explained.mean() < 1


@pytest.mark.parametrize("shots", [0, 1, 63, 65, 300])
def test_beliefs_do_not_depend_on_the_lanes_beside_them(problem, shots):
    syndromes = sample_chunk(problem, 4).syndromes[:shots]
    propagation = SumProduct(problem, 6)
    together = propagation.run(syndromes, beliefs=True)
    assert together.beliefs.shape == ((~together.explained).sum(), len(problem.mechanisms))
    backwards = propagation.run(np.ascontiguousarray(syndromes[::-1]), beliefs=True)
    assert (backwards.explained == together.explained[::-1]).all()
    assert (backwards.beliefs == together.beliefs[::-1]).all()
    without = propagation.run(syndromes)
    assert (without.explained == together.explained).all()
    assert (without.observables == together.observables).all()
    assert without.beliefs.shape == (0, len(problem.mechanisms))


def test_contradictory_certainties_leave_finite_beliefs():
    """Two detectors, each with a mechanism that is nearly impossible, and one in common: whatever fires, none is NaN."""
    lines = "error(1e-30) D0\nerror(1e-30) D1\nerror(1e-30) D0 D1 L0\nerror(1e-30) D0 D1 D2"
    problem = problem_from_dem(stim.DetectorErrorModel(lines), name="rare")
    syndromes = np.arange(8, dtype=np.uint8)[:, None]
    for iterations in (1, 2, 30):
        assert np.isfinite(SumProduct(problem, iterations).run(syndromes, beliefs=True).beliefs).all()
