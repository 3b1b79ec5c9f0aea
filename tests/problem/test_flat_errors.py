"""Error models as flat arrays, against a reader of one target after another."""

import numpy as np
import stim
from hypothesis import given, settings
from hypothesis import strategies as st

from autoqec.errors import UsageError
from autoqec.problem import dem as dem_module
from autoqec.problem.dem import read_dem
from autoqec.problem.problem import problem_from_dem
from autoqec.testing import DIFFICULT_INPUTS, surface_problem


def odd(values):
    return tuple(sorted(value for value in set(values) if values.count(value) % 2))


def one_by_one(model):
    """Mechanisms and edges by the text of the docstring: dictionaries in the order of the errors."""
    wholes, edges, of_instruction = {}, {}, []
    for error in model.flattened():
        if error.type != "error":
            continue
        pieces = []
        for group in error.target_groups():
            detectors = odd([t.val for t in group if t.is_relative_detector_id()])
            flips = odd([t.val for t in group if t.is_logical_observable_id()])
            pieces += [(detectors, flips)] if detectors or flips else []
        whole = tuple(odd([one for piece in pieces for one in piece[side]]) for side in (0, 1))
        (p,) = error.args_copy()
        if not whole[0] or p == 0:
            of_instruction.append(-1)
            continue
        q, kept = wholes.get(whole, (0.0, pieces))
        wholes[whole] = (q * (1 - p) + p * (1 - q), kept)
        of_instruction.append(list(wholes).index(whole))
    for _, pieces in wholes.values():
        for piece in pieces:
            edges.setdefault(piece, len(edges))
    return wholes, edges, of_instruction


def rows(packed, count):
    return [
        tuple(np.flatnonzero(row).tolist()) for row in np.unpackbits(packed, axis=1, count=count, bitorder="little")
    ]


TARGETS = st.lists(st.sampled_from(["D0", "D1", "D2", "D10", "L0", "L1", "L11", "^"]), max_size=7)
ERROR = st.tuples(st.sampled_from(["0", "0.125", "1e-05", "0.75"]), TARGETS).map(
    lambda made: f"error({made[0]}) {' '.join(made[1])}".replace("^ ^", "^").replace(") ^", ")").rstrip(" ^")
)


def legal(text):
    try:
        return stim.DetectorErrorModel(text)
    except ValueError:
        return None


MODELS = st.lists(ERROR, min_size=1, max_size=8).map("\n".join).map(legal).filter(lambda model: model is not None)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(MODELS)
def test_mechanisms_and_edges_are_those_of_a_slow_reader(model):
    wholes, edges, of_instruction = one_by_one(model)
    try:
        mechanisms, found = read_dem(model)
    except UsageError:
        assert not wholes
        return
    flips = rows(mechanisms.observables, model.num_observables)
    detectors = [tuple(part.tolist()) for part in np.split(mechanisms.detector, mechanisms.start[1:-1])]
    assert list(zip(detectors, flips, strict=True)) == list(wholes)
    assert mechanisms.priors.tolist() == [p for p, _ in wholes.values()]
    assert mechanisms.of_instruction.tolist() == of_instruction
    if any(not 1 <= len(ends) <= 2 for ends, _ in edges):
        assert found is None
        return
    ends = [tuple(end for end in pair if end >= 0) for pair in found.ends.tolist()]
    assert list(zip(ends, rows(found.observables, model.num_observables), strict=True)) == list(edges)
    uses = [part.tolist() for part in np.split(found.of_mechanism, found.start[1:-1])]
    assert uses == [[edges[piece] for piece in pieces] for _, pieces in wholes.values()]


def test_different_rows_with_one_hash_are_told_apart(monkeypatch):
    right = read_dem(surface_problem(3, 0.01).dem)
    monkeypatch.setattr(dem_module, "_hashes", lambda values, begin: np.zeros(len(begin) - 1, dtype=np.uint64))
    wrong = read_dem(surface_problem(3, 0.01).dem)
    for one, other in zip(right, wrong, strict=True):
        assert all((getattr(one, name) == getattr(other, name)).all() for name in vars(one))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(MODELS)
def test_a_model_of_pairs_is_never_decomposed(model):
    try:
        problem = problem_from_dem(model, name="it")
    except UsageError:
        return
    if (np.diff(problem.mechanisms.start) > 2).any():
        canonical = problem_from_dem(problem.dem, name="again")
        assert str(canonical.dem) == str(problem.dem)
        assert canonical.fingerprint == problem.fingerprint
        return
    assert "^" not in str(problem.dem)
    assert (problem.num_detectors, problem.num_observables) == (model.num_detectors, model.num_observables)
    assert len(problem.edges) == len(problem.mechanisms)
    assert problem.edges.of_mechanism.tolist() == list(range(len(problem.mechanisms)))
    assert problem.fingerprint == problem_from_dem(problem.dem, name="again").fingerprint
    whole, _ = read_dem(model)
    assert (whole.of_instruction == problem.mechanisms.of_instruction).all()


def test_an_error_on_two_detectors_that_stim_splits_stays_whole():
    problem = next(each for each in DIFFICULT_INPUTS if each.name == "split_pair").problem()
    assert problem.edges.ends.tolist() == [[0, -1], [0, -1], [0, 1]]
