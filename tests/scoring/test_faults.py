"""Fault sets: each once, drawn as noise draws them, and as the circuit shows them."""

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
import stim

from autoqec.problem.problem import problem_from_circuit, problem_from_dem
from autoqec.scoring.fault_sets import distance_of, drawn, how_many, listed, odds, shots_of
from autoqec.scoring.fault_strata import weights_of
from autoqec.testing.tiny import surface_problem

SMALL = problem_from_dem(
    stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.2) D0 D1\nerror(0.05) D1\nerror(0.3) D1 D2 L1"), name="small"
)


@pytest.mark.parametrize("step", [1, 3, 100])
def test_every_set_is_listed_once_in_order(step):
    for weight, expected in ((1, [(i,) for i in range(4)]), (2, list(combinations(range(4), 2)))):
        parts = [listed(SMALL, weight, first, step) for first in range(0, how_many(SMALL, weight), step)]
        assert [tuple(row) for row in np.concatenate(parts).tolist()] == expected
    problem = surface_problem(3, 0.01)
    pairs = listed(problem, 2, 0, 10**6)
    assert (
        len(pairs)
        == how_many(problem, 2)
        == comb(len(problem.mechanisms), 2)
        == len({tuple(p) for p in pairs.tolist()})
    )


def test_sets_of_three_are_not_listed():
    with pytest.raises(ValueError, match="weight 3 are not listed"):
        listed(SMALL, 3, 0, 1)


@pytest.mark.parametrize("weight", [1, 2, 3])
def test_sets_are_drawn_in_proportion_to_their_odds(weight):
    """Chi-squared over all sets: a wrong law, say one that favours what is drawn first, is far outside."""
    count = 40_000
    found = Counter(map(tuple, drawn(SMALL, weight, count, seed=7).tolist()))
    each = odds(SMALL)
    products = {members: float(np.prod(each[list(members)])) for members in combinations(range(4), weight)}
    expected = {members: count * product / sum(products.values()) for members, product in products.items()}
    assert found.keys() == expected.keys()
    assert sum((found[m] - e) ** 2 / e for m, e in expected.items()) < 30
    assert (drawn(SMALL, weight, 50, 1) == drawn(SMALL, weight, 50, 1)).all()
    assert (drawn(SMALL, weight, 50, 1) != drawn(SMALL, weight, 50, 2)).any()


def test_how_likely_so_many_faults_are():
    priors = SMALL.mechanisms.priors
    by_hand = [
        sum(
            np.prod([p if i in members else 1 - p for i, p in enumerate(priors)])
            for members in combinations(range(4), weight)
        )
        for weight in range(5)
    ]
    found, beyond = weights_of(priors, 2)
    assert found == pytest.approx(by_hand[:3])
    assert beyond == pytest.approx(sum(by_hand[3:]))
    assert sum(by_hand) == pytest.approx(1)


def test_a_fault_set_looks_as_the_error_model_says():
    """Against stim: its own errors, replayed, have the same detectors and observables."""
    problem = surface_problem(3, 0.02)
    rng = np.random.default_rng(1)
    sets = np.array([rng.choice(len(problem.mechanisms), 3, replace=False) for _ in range(200)])
    shots = shots_of(problem, sets)
    first = np.array(
        [np.flatnonzero(problem.mechanisms.of_instruction == m)[0] for m in range(len(problem.mechanisms))]
    )
    errors = np.zeros((200, problem.dem.num_errors), dtype=bool)
    np.put_along_axis(errors, first[sets], True, axis=1)
    sampler = problem.dem.compile_sampler()
    replayed = np.packbits(errors, axis=1, bitorder="little")
    detectors, observables, _ = sampler.sample(200, bit_packed=True, recorded_errors_to_replay=replayed)
    assert (shots.syndromes == detectors).all()
    assert (shots.observables == observables).all()


def test_distances():
    assert distance_of(surface_problem(3, 0.01)) == (3, "graphlike")
    assert distance_of(surface_problem(5, 0.01, rounds=2)) == (5, "graphlike")
    seen = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 D1 D2 L0\nerror(0.1) D0"), name="hyper")
    assert distance_of(seen)[0] is None
    circuit = stim.Circuit.generated("color_code:memory_xyz", distance=3, rounds=2, after_clifford_depolarization=0.01)
    assert distance_of(problem_from_circuit(circuit, name="colour"))[0] in (2, 3)
    none = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.1) D1"), name="no way")
    assert distance_of(none) == (None, "no set of errors flips an observable unseen")
