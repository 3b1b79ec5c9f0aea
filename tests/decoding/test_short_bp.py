"""Short belief propagation in lanes that are filled again: each shot is answered as if it were alone."""

import numpy as np
import pytest

from autoqec.decoding.flipping import syndromes_of_mechanisms
from autoqec.decoding.short_bp import MEMORY, SCALE, ShortBP
from autoqec.decoding.sum_product import SumProduct, decisions
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import surface_problem


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.02)


def slowly(problem, syndrome, iterations):
    """The same messages in double precision, one after the other; the decisions of the first iteration that explains it."""
    columns = np.unpackbits(syndromes_of_mechanisms(problem), axis=1, count=problem.num_detectors, bitorder="little")
    fired = np.unpackbits(syndrome, count=problem.num_detectors, bitorder="little")
    priors = problem.priors_llr.astype(float)
    messages = np.zeros_like(columns, dtype=float)
    total = priors
    for _ in range(iterations):
        tanh = np.tanh((total[:, None] - messages) / 2)
        messages = np.zeros_like(messages)
        for detector in range(problem.num_detectors):
            members = np.flatnonzero(columns[:, detector])
            for m in members:
                others = tanh[members[members != m], detector].prod() * (-1.0) ** fired[detector]
                messages[m, detector] = SCALE * 2 * np.arctanh(others)
        total = priors + MEMORY * (total - priors) + messages.sum(axis=1)
        if ((columns.T @ (total < 0)) % 2 == fired).all():
            return total < 0
    return None


def test_it_is_belief_propagation(problem):
    syndromes = sample_chunk(problem, 3).syndromes[:120]
    found = ShortBP(problem, 4).explain(syndromes)
    flips = problem.mechanisms.observables
    for shot, syndrome in enumerate(syndromes):
        decisions = slowly(problem, syndrome, 4)
        assert found.shots[shot] == (decisions is not None)
        expected = 0 if decisions is None else np.bitwise_xor.reduce(flips[decisions], axis=0, initial=0)
        assert (found.observables[shot] == expected).all()
    assert 0.2 < found.shots.mean() < 1


@pytest.mark.parametrize("shots", [0, 1, 5, 63, 64, 65, 300])
def test_a_shot_does_not_depend_on_the_lanes_beside_it(problem, shots):
    syndromes = sample_chunk(problem, 4).syndromes[:shots]
    step = ShortBP(problem, 6)
    together = step.explain(syndromes)
    for order in (np.arange(shots)[::-1], np.random.default_rng(1).permutation(shots)):
        mixed = step.explain(np.ascontiguousarray(syndromes[order]))
        assert (mixed.shots == together.shots[order]).all()
        assert (mixed.observables == together.observables[order]).all()
    for shot in range(min(shots, 40)):
        alone = step.explain(syndromes[shot : shot + 1])
        assert alone.shots[0] == together.shots[shot]
        assert (alone.observables[0] == together.observables[shot]).all()


def test_mechanisms_are_those_that_the_answers_are_read_from(problem):
    syndromes = sample_chunk(problem, 5).syndromes[:200]
    step = SumProduct(problem, 4, SCALE, MEMORY)
    found, plain = step.mechanisms(syndromes), step.run(syndromes, beliefs=True)
    assert (found.explained == plain.explained).all()
    assert (found.observables == plain.observables).all()
    assert (found.beliefs[~found.explained] == plain.beliefs).all()
    columns = np.unpackbits(syndromes_of_mechanisms(problem), axis=1, count=problem.num_detectors, bitorder="little")
    fired = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    explains = (decisions(found.beliefs).astype(int) @ columns % 2 == fired).all(axis=1)
    assert (explains == found.explained).all()
    assert 0.2 < explains.mean() < 1
    for shot in range(0, 200, 37):
        assert (step.mechanisms(syndromes[shot : shot + 1]).beliefs[0] == found.beliefs[shot]).all()
