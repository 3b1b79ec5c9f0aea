"""The confidence of `mwpm`: equal to brute force on small graphs, and to PyMatching with the observable as a detector."""

import itertools
import pickle

import numpy as np
import pymatching
import pytest
import stim
from autoqec_plugins.mwpm import gap as gap_module
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm

from autoqec.decoding import ConfidentDecoder
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import surface_problem


def forced(problem):
    """PyMatching's graph with the observable as one more detector; the code's other boundary stays one."""
    graph = pymatching.Matching()
    for a, b, fields in pymatching.Matching.from_detector_error_model(problem.dem).edges():
        assert b is None or not fields["fault_ids"]
        if b is not None or fields["fault_ids"]:
            graph.add_edge(a, problem.num_detectors if b is None else b, weight=fields["weight"])
        else:
            graph.add_boundary_edge(a, weight=fields["weight"])
    return graph


def gaps_by_two_calls(problem, syndromes, observables):
    graph = forced(problem)
    bits = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    weights = []
    for side in (0, 1):
        shots = np.concatenate([bits, np.full((len(bits), 1), side, dtype=np.uint8)], axis=1)
        weights.append(graph.decode_batch(shots, return_weights=True)[1])
    return np.where(observables[:, 0] == 0, weights[1] - weights[0], weights[0] - weights[1])


@pytest.mark.parametrize("distance", [3, 5])
def test_gaps_equal_two_calls_of_pymatching(distance):
    problem = surface_problem(distance, 0.005)
    syndromes = sample_chunk(problem, 1).syndromes[:1000]
    decoder = Mwpm().compile(problem)
    assert isinstance(decoder, ConfidentDecoder)
    assert decoder.confidence_kind == "gap"
    decoded, gaps = decoder.decode_with_confidence(syndromes)
    assert (decoded.observables == decoder.decode(syndromes).observables).all()
    assert (gaps.dtype, gaps.shape) == (np.float32, (1000,))
    assert gaps == pytest.approx(gaps_by_two_calls(problem, syndromes, decoded.observables), abs=1e-3)


def random_problem(seed, *, detectors=6, edges=11, observables=2, boundary=True):
    """A random graph with loops inside, perhaps without boundary, in which some errors are likelier than not."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.combinations(range(detectors), 2)) + [(d, None) for d in range(detectors)] * boundary
    lines = []
    for place in rng.choice(len(pairs), size=min(edges, len(pairs)), replace=False):
        targets = [f"D{end}" for end in pairs[place] if end is not None]
        targets += [f"L{o}" for o in range(observables) if rng.random() < 0.3]
        lines.append(f"error({rng.uniform(0.01, 0.6):.6f}) {' '.join(targets)}")
    lines.append(f"detector D{detectors - 1}\nlogical_observable L{observables - 1}")
    return problem_from_dem(stim.DetectorErrorModel("\n".join(lines)), name=f"random{seed}")


def least_by_class(problem):
    """The lightest set of edges for each syndrome and class, by trying all of them."""
    edges = pymatching.Matching.from_detector_error_model(problem.dem).edges()
    weights = np.array([fields["weight"] for _, _, fields in edges])
    columns = np.zeros((len(edges), problem.num_detectors + problem.num_observables), dtype=int)
    for edge, (a, b, fields) in enumerate(edges):
        columns[edge, [end for end in (a, b) if end is not None]] = 1
        columns[edge, [problem.num_detectors + o for o in fields["fault_ids"]]] = 1
    chosen = np.array(list(itertools.product((0, 1), repeat=len(edges))))
    keys = (chosen @ columns % 2) @ (1 << np.arange(columns.shape[1]))
    least = np.full(1 << columns.shape[1], np.inf)
    np.minimum.at(least, keys, chosen @ weights)
    return least.reshape(1 << problem.num_observables, 1 << problem.num_detectors)


def use(route, monkeypatch):
    """Make the decoder take one of its ways to a gap."""
    if route == "searches instead of tables":
        monkeypatch.setattr(gap_module, "_MOST_BYTES", 0)
    elif route == "little room":
        monkeypatch.setattr(gap_module, "_ROOM", (2, 2))


ROUTES = ["tables", "searches instead of tables", "little room"]


@pytest.mark.parametrize("boundary", [True, False])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("seed", range(20))
def test_gaps_equal_brute_force(seed, route, boundary, monkeypatch):
    use(route, monkeypatch)
    problem = random_problem(seed, boundary=boundary)
    least = least_by_class(problem)
    syndromes = np.arange(1 << problem.num_detectors, dtype=np.uint8)[:, None]
    decoder = Mwpm().compile(problem)
    decoded, gaps = decoder.decode_with_confidence(syndromes)
    assert (decoded.invalid == np.isinf(least).all(axis=0)).all()
    answers = decoded.observables[:, 0].astype(int)
    expected = np.zeros(len(gaps))
    for shot in np.flatnonzero(~decoded.invalid):
        others = np.delete(least[:, shot], answers[shot]).min()
        expected[shot] = max(0.0, others - least[answers[shot], shot])
    assert gaps == pytest.approx(expected, abs=1e-3)
    limited = decoder.confidence(syndromes, at_most=1.0)
    near = expected <= 1.0
    assert limited[near] == pytest.approx(expected[near], abs=1e-3)
    assert (limited[~near] > 1.0).all()


@pytest.mark.parametrize("route", ROUTES)
def test_ways_to_a_gap_agree_on_a_surface_code(route, monkeypatch):
    use(route, monkeypatch)
    problem = surface_problem(5, 0.01)
    syndromes = sample_chunk(problem, 7).syndromes[:400]
    decoded, gaps = Mwpm().compile(problem).decode_with_confidence(syndromes)
    assert gaps == pytest.approx(gaps_by_two_calls(problem, syndromes, decoded.observables), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.003, 0.005, 0.012])
@pytest.mark.parametrize("distance", [5, 7])
def test_thousands_of_gaps_equal_two_calls(distance, p):
    problem = surface_problem(distance, p)
    syndromes = sample_chunk(problem, 3).syndromes
    decoder = Mwpm().compile(problem)
    for at_most in (2.0, 5.8, np.inf):
        decoded, gaps = decoder.decode_with_confidence(syndromes, at_most)
        expected = gaps_by_two_calls(problem, syndromes, decoded.observables)
        near = expected <= at_most
        assert gaps[near] == pytest.approx(expected[near], abs=1e-3)
        assert (gaps[~near] > at_most).all()


def toric(size, rounds, p):
    """Bit flips on a torus, with flips of measurements: no boundary, and two observables with loops that avoid everything."""
    lines = []
    for t, y, x in itertools.product(range(rounds), range(size), range(size)):
        here, right, down = ((t * size + b) * size + a for a, b in ((x, y), ((x + 1) % size, y), (x, (y + 1) % size)))
        lines.append(f"error({p}) D{here} D{right}" + " L0" * (x == size - 1))
        lines.append(f"error({p * 1.5}) D{here} D{down}" + " L1" * (y == size - 1))
        if t + 1 < rounds:
            lines.append(f"error({p / 2}) D{here} D{here + size * size}")
    return problem_from_dem(stim.DetectorErrorModel("\n".join(lines)), name="toric")


def lightest(problem, syndrome, wanted):
    """The weight of the lightest set of edges with a syndrome and observables, by integer programming."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    edges = pymatching.Matching.from_detector_error_model(problem.dem).edges()
    rows = problem.num_detectors + problem.num_observables
    matrix = np.zeros((rows, len(edges) + rows))
    for edge, (a, b, fields) in enumerate(edges):
        matrix[[a, b], edge] = 1
        matrix[[problem.num_detectors + o for o in fields["fault_ids"]], edge] = 1
    matrix[:, len(edges) :] = -2 * np.eye(rows)
    cost = np.array([fields["weight"] for _, _, fields in edges] + [0.0] * rows)
    upper = np.array([1.0] * len(edges) + [9.0] * rows)
    told = np.concatenate([syndrome, wanted]).astype(float)
    found = milp(
        cost, integrality=np.ones(len(cost)), bounds=Bounds(0, upper), constraints=LinearConstraint(matrix, told, told)
    )
    assert found.status == 0
    return found.fun


@pytest.fixture(scope="module")
def torus():
    """A problem on a torus, some of its shots, and of each the lightest weight of each class; integer programming takes long."""
    problem = toric(3, 3, 0.05)
    bits, _, _ = problem.dem.compile_sampler(seed=3).sample(12)
    classes = list(itertools.product((0, 1), repeat=2))
    return problem, bits, [{two: lightest(problem, row, two) for two in classes} for row in bits]


@pytest.mark.parametrize("route", ROUTES)
def test_gaps_on_a_torus_equal_integer_programming(route, torus, monkeypatch):
    use(route, monkeypatch)
    problem, bits, by_class = torus
    syndromes = np.packbits(bits, axis=1, bitorder="little")
    decoded, gaps = Mwpm().compile(problem).decode_with_confidence(syndromes)
    for shot, weights in enumerate(map(dict, by_class)):
        own = weights.pop((decoded.observables[shot, 0] & 1, decoded.observables[shot, 0] >> 1))
        assert gaps[shot] == pytest.approx(min(weights.values()) - own, abs=1e-3)


def test_a_search_without_room_gives_a_lower_bound_where_no_exact_method_is_known(monkeypatch):
    problem = toric(4, 3, 0.03)
    bits, _, _ = problem.dem.compile_sampler(seed=3).sample(100)
    syndromes = np.packbits(bits, axis=1, bitorder="little")
    exact = Mwpm().compile(problem).confidence(syndromes)
    monkeypatch.setattr(gap_module, "_ROOM", (64, 2))
    monkeypatch.setattr(gap_module, "_LARGE_ROOM", (64, 16))
    bound = Mwpm().compile(problem).confidence(syndromes)
    assert (bound <= exact + 1e-3).all()
    assert 0 < (bound < exact - 1e-3).mean() < 1


def test_an_observable_that_nothing_can_change_is_sure():
    model = "error(0.1) D0 D1 L0\nerror(0.1) D1 D2\nerror(0.1) D0 D2 L0\nerror(0.1) D3 D4 L1\nerror(0.2) D3 L1\nerror(0.2) D4"
    problem = problem_from_dem(stim.DetectorErrorModel(model), name="closed")
    bits = np.array([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], np.uint8)
    decoded, gaps = Mwpm().compile(problem).decode_with_confidence(np.packbits(bits, axis=1, bitorder="little"))
    assert decoded.invalid.tolist() == [False, False, True]
    assert np.isinf(gaps[:2]).all()
    assert gaps[2] == 0


def test_a_shot_does_not_depend_on_its_batch():
    problem = surface_problem(5, 0.01)
    syndromes = sample_chunk(problem, 2).syndromes[:300]
    decoder = Mwpm().compile(problem)
    for at_most in (4.0, np.inf):
        whole = decoder.confidence(syndromes, at_most)
        assert (decoder.confidence(syndromes[::-1].copy(), at_most)[::-1] == whole).all()
        assert (
            np.concatenate([decoder.confidence(syndromes[i : i + 1], at_most) for i in range(60)]) == whole[:60]
        ).all()


def test_the_answer_beside_the_gap_is_that_of_decode():
    problem = surface_problem(3, 0.08)
    syndromes = sample_chunk(problem, 2).syndromes
    decoder = pickle.loads(pickle.dumps(Mwpm().compile(problem)))
    plain = decoder.decode(syndromes)
    decoded, gaps = decoder.decode_with_confidence(syndromes, 1.0)
    assert (decoded.observables == plain.observables).all()
    assert (gaps >= 0).all()


def test_a_tie_has_no_gap():
    model = "error(0.1) D0\nerror(0.1) D0 D1\nerror(0.1) D1 D2\nerror(0.1) D2 L0"
    problem = problem_from_dem(stim.DetectorErrorModel(model), name="line")
    gaps = Mwpm().compile(problem).confidence(np.array([[0b010], [0b001]], np.uint8))
    assert gaps == pytest.approx([0, 2 * np.log(9)], abs=1e-4)


def test_gaps_from_several_threads_are_those_from_one():
    from autoqec.shared_threads import in_parallel, limit_threads, slices

    problem = surface_problem(5, 0.006)
    decoder = Mwpm().compile(problem)
    syndromes = np.concatenate([sample_chunk(problem, seed).syndromes for seed in range(3)])
    expected = decoder.confidence(syndromes, 12.0)
    limit_threads(3)
    found = in_parallel(lambda part: decoder.confidence(syndromes[part], 12.0), slices(len(syndromes), 64))
    limit_threads(None)
    assert (np.concatenate(found) == expected).all()
