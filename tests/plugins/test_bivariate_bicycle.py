"""Bivariate bicycle codes: the paper's parameters, its cycle, and what a user may get wrong."""

import numpy as np
import pytest
from autoqec_plugins.bivariate_bicycle.bb_code import BivariateBicycleFields, bicycle
from autoqec_plugins.bivariate_bicycle.polynomial import parse

from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import builtin_environments, find_environment
from autoqec.problem.gf2 import rank
from autoqec.problem.memory import css_memory


def fields(**changes):
    return BivariateBicycleFields(**{"l": 6, "m": 6, "a": "x^3 + y + y^2", "b": "y^3 + x + x^2", "rounds": 2} | changes)


@pytest.mark.parametrize(
    ("change", "n", "k"),
    [  # table 3 of the paper
        ({}, 72, 12),
        ({"l": 15, "m": 3, "a": "x^9 + y + y^2", "b": "1 + x^2 + x^7"}, 90, 8),
        ({"l": 9, "a": "x^3 + y + y^2", "b": "y^3 + x + x^2"}, 108, 8),
        ({"l": 12}, 144, 12),
        ({"l": 12, "m": 12, "a": "x^3 + y^2 + y^7", "b": "y^3 + x + x^2"}, 288, 12),
    ],
)
def test_the_codes_of_the_paper_have_its_parameters(change, n, k):
    code, schedule = bicycle(fields(**change))
    assert (code.num_qubits, len(code.lz)) == (n, k)
    assert rank((code.lx.astype(int) @ code.lz.T) % 2) == k  # the logical operators pair up
    assert not ((code.hx.astype(int) @ code.hz.T) % 2).any()
    assert set(code.hx.sum(axis=1)) == set(code.hz.sum(axis=1)) == {6}
    # Each layer touches a qubit at most once, and all layers together are the checks.
    for x_pairs, z_pairs in zip(schedule.x, schedule.z, strict=True):
        data = [qubit for _, qubit in [*x_pairs, *z_pairs]]
        assert len(data) == len(set(data))
    for layers, matrix in ((schedule.x, code.hx), (schedule.z, code.hz)):
        assert {pair for layer in layers for pair in layer} == {tuple(pair) for pair in np.argwhere(matrix)}


@pytest.mark.parametrize("basis", ["X", "Z"])
def test_the_cycle_measures_the_checks_and_takes_eight_layers(basis):
    code, schedule = bicycle(fields())
    circuit = css_memory(code, schedule, basis=basis, rounds=3, both=True)
    circuit.detector_error_model()  # stim raises if a detector or observable is not deterministic
    assert circuit.num_detectors == 36 * (3 + 1) + 36 * (3 - 1)
    assert circuit.num_ticks == 3 * 8 + 1


def test_bb72_is_the_benchmark_of_the_literature():
    """252 detectors, 2232 mechanisms, 12 observables at six cycles, memory Z."""
    problem = build_problem(find_environment("bb72_depol", [builtin_environments()]), load_plugins().maker("code"))
    assert (problem.num_detectors, len(problem.mechanisms), problem.num_observables) == (252, 2232, 12)
    assert problem.edges is None
    places = problem.circuit.get_detector_coordinates()
    assert len(set(map(tuple, places.values()))) == 252
    assert {place[2] for place in places.values()} == set(range(7))


def test_no_short_error_is_invisible():
    """Hooks may halve a distance: no error of two mechanisms flips a logical qubit unseen."""
    problem = build_problem(find_environment("bb72_depol", [builtin_environments()]), load_plugins().maker("code"))
    mechanisms = problem.mechanisms
    syndromes = [tuple(mechanisms.detector[i:j]) for i, j in zip(mechanisms.start, mechanisms.start[1:], strict=False)]
    assert len(set(syndromes)) == len(syndromes)
    assert all(syndromes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"a": "x^3 + z"}, "code.a: 'z' is not a monomial"),
        ({"a": "x^3 + + y"}, "is not a monomial"),
        ({"b": "x + x^7 + y"}, "code.b: two terms"),
        ({"a": "x + y"}, "code.a: 'x + y' has 2 terms"),
        ({"l": 4, "m": 4, "a": "1 + x + y", "b": "1 + x + y^3"}, "no logical qubit"),
    ],
)
def test_what_is_no_such_code_is_refused(change, reason):
    with pytest.raises(UsageError) as caught:
        bicycle(fields(**change))
    assert reason in caught.value.problem


def test_monomials_are_read_as_people_write_them():
    assert parse("1 + x + y^2 + x^3y + x^2*y^7", field="a", l=6, m=5) == ((0, 0), (1, 0), (0, 2), (3, 1), (2, 2))
