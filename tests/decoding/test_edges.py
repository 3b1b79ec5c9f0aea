"""Edge log-odds from beliefs: the XOR formula, exact at both ends, whatever the batch."""

import mpmath
import numpy as np
import pytest
import stim

from autoqec.decoding import edge_log_odds, edge_uses
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import problem_from_dem


@pytest.fixture(scope="module")
def problem():
    """Edges with one, two and three mechanisms, and a mechanism of two edges."""
    return problem_from_dem(
        stim.DetectorErrorModel("""
            error(0.01) D0 D1
            error(0.02) D1 L0
            error(0.03) D0 D1 ^ D2
            error(0.04) D0 D1 ^ D1 L0
            error(0.05) D2
            error(0.06) D0
        """),
        name="small",
    )


def _exact(problem, beliefs):
    """The formula in fifty digits, by walking the decompositions as they are stored."""
    edges = problem.edges
    members = [[] for _ in range(len(edges))]
    for mechanism in range(len(problem.mechanisms)):
        for edge in edges.of_mechanism[edges.start[mechanism] : edges.start[mechanism + 1]]:
            members[edge].append(mechanism)
    rows = []
    with mpmath.workdps(50):
        for shot in beliefs.astype(np.float64):
            row = []
            for used in members:
                p = [1 / (1 + mpmath.exp(mpmath.mpf(float(shot[m])))) for m in used]
                odd = (1 - mpmath.fprod([1 - 2 * q for q in p])) / 2
                row.append(float(mpmath.log((1 - odd) / odd)))
            rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("spread", [0.01, 1.0, 8.0, 20.0, 45.0])
def test_matches_the_formula_in_fifty_digits(problem, spread):
    rng = np.random.default_rng(7)
    beliefs = rng.uniform(-spread, spread, (50, len(problem.mechanisms))).astype(np.float32)
    found = edge_log_odds(beliefs, edge_uses(problem.edges))
    exact = _exact(problem, beliefs)
    assert found.dtype == np.float32
    np.testing.assert_array_less(np.abs(found - exact), 2e-6 * np.maximum(1, np.abs(exact)))


@pytest.mark.parametrize("llr", [-1e30, -LLR_BOUND, -20.7, -0.0, 0.0, 1e-20, 20.7, LLR_BOUND, 1e30])
def test_no_belief_makes_it_lose_its_mind(problem, llr):
    found = edge_log_odds(np.full((1, len(problem.mechanisms)), llr, np.float32), edge_uses(problem.edges))
    assert np.isfinite(found).all()
    assert (np.abs(found) <= LLR_BOUND * 1.000001).all()
    if abs(llr) == 20.7:  # p = 1e-9: alone it keeps every digit, three of them add up
        expected = np.log((1 - 1e-9) / 1e-9) if llr > 0 else None
        lone = edge_uses(problem.edges)
        single = np.flatnonzero(np.diff(lone.start) == 1)
        np.testing.assert_allclose(np.abs(found[0, single]), 20.7, rtol=1e-6)
        if expected is not None:
            triple = np.flatnonzero(np.diff(lone.start) == 3)
            np.testing.assert_allclose(found[0, triple], 20.7 - np.log(3), rtol=1e-6)


def test_an_edge_used_twice_by_one_mechanism_cancels():
    problem = problem_from_dem(
        stim.DetectorErrorModel("error(0.1) D0 ^ D1 ^ D0\nerror(0.2) D0 L0\nerror(0.2) D1\nerror(0.1) D2 D3 ^ D4"),
        name="twice",
    )
    uses = edge_uses(problem.edges)
    ends = problem.edges.ends.tolist()
    lone = next(e for e, pair in enumerate(ends) if 0 in pair and not problem.edges.observables[e].any())
    assert uses.start[lone] == uses.start[lone + 1]
    found = edge_log_odds(np.zeros((1, len(problem.mechanisms)), np.float32), uses)
    assert found[0, lone] == pytest.approx(LLR_BOUND)


def test_a_shot_does_not_depend_on_its_batch(problem):
    rng = np.random.default_rng(0)
    beliefs = rng.normal(3, 4, (37, len(problem.mechanisms))).astype(np.float32)
    uses = edge_uses(problem.edges)
    whole = edge_log_odds(beliefs, uses)
    one_by_one = np.concatenate([edge_log_odds(beliefs[i : i + 1], uses) for i in range(len(beliefs))])
    assert whole.tobytes() == one_by_one.tobytes()
    assert edge_log_odds(beliefs[:0], uses).shape == (0, len(problem.edges))
