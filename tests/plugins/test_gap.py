"""The confidence of `mwpm`: equal to brute force on small graphs, and to PyMatching with the observable as a detector."""

import itertools

import numpy as np
import pymatching
import pytest
import stim
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


@pytest.mark.parametrize("boundary", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_gaps_equal_brute_force(seed, boundary):
    problem = random_problem(seed, boundary=boundary)
    least = least_by_class(problem)
    syndromes = np.arange(1 << problem.num_detectors, dtype=np.uint8)[:, None]
    decoded, gaps = Mwpm().compile(problem).decode_with_confidence(syndromes)
    assert (decoded.invalid == np.isinf(least).all(axis=0)).all()
    answers = decoded.observables[:, 0].astype(int)
    for shot in np.flatnonzero(~decoded.invalid):
        others = np.delete(least[:, shot], answers[shot]).min()
        assert gaps[shot] == pytest.approx(max(0.0, others - least[answers[shot], shot]), abs=1e-3)
    assert not gaps[decoded.invalid].any()
