"""Matching with weights per shot is exact: the same solution weight as PyMatching rebuilt with those weights, always."""

import pickle

import numpy as np
import pymatching
import pytest
import stim
from autoqec_plugins.mwpm import mwpm_decoder as mwpm
from autoqec_plugins.mwpm.matching_kernel import WEIGHTS_PER_NAT
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm, MwpmCorrelated

from autoqec.decoding import Decoder, edge_log_odds
from autoqec.errors import UsageError
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import sample_chunk, sample_labelled
from autoqec.testing import surface_problem


def tangle(seed, *, detectors=12, edges=40, observables=11, boundary=True):
    """A random matching graph: parallel edges, several observables, two detectors that nothing touches.

    Without a boundary it has two islands.
    """
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(edges):
        a, b = rng.choice(detectors - 2, size=2, replace=False)
        if not boundary:
            a, b = a // 2 * 2, b // 2 * 2
            if a == b:
                continue
            b += (a % 4 != b % 4) * 2
            if b >= detectors - 2 or a == b:
                continue
        targets = [f"D{a}"] + ([f"D{b}"] if not boundary or rng.random() < 0.8 else [])
        targets += [f"L{o}" for o in rng.choice(observables, size=rng.integers(0, 3), replace=False)]
        lines.append(f"error({rng.uniform(0.01, 0.3):.6f}) {' '.join(targets)}")
    lines.append(f"detector D{detectors - 1}\nlogical_observable L{observables - 1}")
    return problem_from_dem(stim.DetectorErrorModel("\n".join(lines)), name=f"tangle{seed}")


def rebuilt(problem, weights, syndrome):
    """PyMatching made anew with these integer weights; parallel edges by hand, for PyMatching would merge them.

    Returns the weight of its solution, and the observables where PyMatching's choice is the only one.
    """
    lightest = {}
    flip, flipped = 0, np.zeros(problem.num_detectors, np.uint8)
    masks = [int.from_bytes(row.tobytes(), "little") for row in problem.edges.observables]
    granted = 0
    for (a, b), weight, mask in zip(problem.edges.ends.tolist(), weights.tolist(), masks, strict=True):
        if weight < 0:
            granted += weight
            flip ^= mask
            for end in (a, b):
                if end >= 0:
                    flipped[end] ^= 1
        key = (min(a, b), max(a, b))
        if key not in lightest or abs(weight) < lightest[key][0]:
            lightest[key] = (abs(weight), mask)
    matching = pymatching.Matching()
    matching.ensure_num_fault_ids(problem.num_observables)
    for (a, b), (weight, mask) in lightest.items():
        faults = {o for o in range(problem.num_observables) if mask >> o & 1}
        if a < 0:
            matching.add_boundary_edge(b, weight=weight, fault_ids=faults)
        else:
            matching.add_edge(a, b, weight=weight, fault_ids=faults)
    bits = np.unpackbits(syndrome, count=problem.num_detectors, bitorder="little") ^ flipped
    try:
        prediction, weight = matching.decode(bits[: matching.num_detectors], return_weight=True)
    except ValueError:
        return None
    if bits[matching.num_detectors :].any():
        return None
    mask = sum(int(bit) << o for o, bit in enumerate(prediction)) ^ flip
    return weight + granted, mask


def check_against_pymatching(problem, syndromes, log_odds, *, most_ties=0.0):
    observables, invalid, total = Mwpm().compile(problem).match(syndromes, log_odds)
    weights = np.rint(log_odds * np.float32(WEIGHTS_PER_NAT)).astype(np.int64)
    different = 0
    for shot in range(len(syndromes)):
        expected = rebuilt(problem, weights[shot], syndromes[shot])
        assert (expected is None) == invalid[shot], f"shot {shot}"
        if expected is not None:
            assert total[shot] == expected[0], f"shot {shot}"
            different += int.from_bytes(observables[shot].tobytes(), "little") != expected[1]
    assert different <= most_ties * len(syndromes)
    return invalid


def noisy_log_odds(problem, shots, spread, seed):
    """Weights around those of the priors; with a large spread many are negative."""
    rng = np.random.default_rng(seed)
    beliefs = problem.priors_llr + rng.normal(0, spread, (shots, len(problem.mechanisms)))
    return edge_log_odds(beliefs.astype(np.float32), Mwpm().compile(problem)._uses)


@pytest.mark.parametrize("spread", [0.0, 0.5, 4.0])
def test_surface_code_equals_pymatching(spread):
    problem = surface_problem(3, 0.01)
    syndromes = sample_chunk(problem, 11).syndromes[:300]
    log_odds = noisy_log_odds(problem, len(syndromes), spread, 5)
    invalid = check_against_pymatching(problem, syndromes, log_odds, most_ties=0.05 if spread == 0 else 0.01)
    assert not invalid.any()


@pytest.mark.parametrize("limit", [1, 2, 12])
@pytest.mark.parametrize("seed", range(4))
def test_tangled_graphs_equal_pymatching(seed, limit, monkeypatch):
    """Parallel edges, eleven observables, detectors without edges, negative weights; with the general solver too."""
    if limit < 12:
        general_instead_of_clusters(monkeypatch, limit)
    problem = tangle(seed, boundary=seed != 3)
    rng = np.random.default_rng(seed)
    bits = rng.random((60, problem.num_detectors)) < 0.3
    bits[:, -2:] &= rng.random((60, 2)) < 0.1
    syndromes = np.packbits(bits, axis=1, bitorder="little")
    log_odds = rng.normal(1, 2, (60, len(problem.edges))).astype(np.float32)
    invalid = check_against_pymatching(problem, syndromes, log_odds, most_ties=0.02)
    assert invalid[bits[:, -2:].any(axis=1)].all()
    assert not invalid.all()


def general_instead_of_clusters(monkeypatch, limit):
    """Make the decoder hand all shots with more than `limit` defects to the general solver."""
    from autoqec_plugins.mwpm.matching_kernel import TOO_LARGE, match

    def and_less(syndromes, log_odds, graph, observables, total, status):
        match(syndromes, log_odds, graph, observables, total, status)
        defects = np.unpackbits(syndromes, axis=1).sum(axis=1)
        status[(status == 0) & (defects > limit)] = TOO_LARGE

    monkeypatch.setattr(mwpm, "match", and_less)


def test_large_clusters_fall_back_and_stay_exact():
    problem = surface_problem(5, 0.02)
    syndromes = sample_chunk(problem, 3).syndromes[:40]
    log_odds = noisy_log_odds(problem, 40, 0.7, 1)
    compiled = Mwpm().compile(problem)
    from autoqec_plugins.mwpm.matching_kernel import TOO_LARGE, match

    status = np.zeros(40, np.uint8)
    match(syndromes, log_odds, compiled._graph, np.zeros((40, 1), np.uint8), np.zeros(40, np.int64), status)
    assert (status == TOO_LARGE).sum() > 3
    check_against_pymatching(problem, syndromes, log_odds, most_ties=0.05)


@pytest.mark.slow
def test_ten_thousand_shots_equal_pymatching():
    problem = surface_problem(5, 0.005)
    for part, spread in enumerate((0.3, 1.0, 2.0)):
        syndromes = sample_chunk(problem, part).syndromes[:3400]
        log_odds = noisy_log_odds(problem, len(syndromes), spread, part)
        check_against_pymatching(problem, syndromes, log_odds, most_ties=0.005)


@pytest.mark.slow
def test_ten_thousand_shots_of_tangled_graphs_equal_pymatching():
    """Random graphs with boundaries, parallel edges and eleven observables; random weights, a third of them negative."""
    for seed in range(10, 30):
        problem = tangle(seed, boundary=seed % 5 != 0)
        rng = np.random.default_rng(seed)
        bits = rng.random((500, problem.num_detectors)) < 0.3
        bits[:, -2:] &= rng.random((500, 2)) < 0.02
        log_odds = rng.normal(1, 2, (500, len(problem.edges))).astype(np.float32)
        check_against_pymatching(problem, np.packbits(bits, axis=1, bitorder="little"), log_odds, most_ties=0.02)


def test_empty_syndrome_needs_nothing_unless_an_error_is_believed():
    problem = surface_problem(3, 0.01)
    compiled = Mwpm().compile(problem)
    empty = np.zeros((1, problem.syndrome_bytes), np.uint8)
    assert not compiled.decode(empty, problem.priors_llr[None].copy()).observables.any()
    # A mechanism that flips the observable is sure to have fired, and so is another that hides it from the detectors.
    whole = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.1) D0"), name="two_ways")
    sure = np.array([[-10, -10]], np.float32)
    decoded = Mwpm().compile(whole).decode(np.zeros((1, 1), np.uint8), sure)
    assert decoded.observables.tolist() == [[1]]


def test_told_what_fired_it_answers_what_was_flipped():
    problem = surface_problem(3, 0.02)
    syndromes, observables, fired = sample_labelled(problem, 500, 1)
    told = np.where(fired, np.float32(-8), np.float32(8))
    truth = np.packbits(observables, axis=1, bitorder="little")
    decoded = Mwpm().compile(problem).decode(np.packbits(syndromes, axis=1, bitorder="little"), told)
    assert not decoded.failures(truth).any()


def test_observables_beyond_one_word_are_kept():
    model = "\n".join(f"error(0.1) D{i} L{i}\nerror(0.01) D{i} D{i + 1}" for i in range(70)) + "\nerror(0.1) D70"
    problem = problem_from_dem(stim.DetectorErrorModel(model), name="many")
    bits = np.zeros((2, 71), np.uint8)
    bits[0, [0, 35, 69]] = 1
    bits[1, 70] = 1
    syndromes = np.packbits(bits, axis=1, bitorder="little")
    for beliefs in (None, np.repeat(problem.priors_llr[None], 2, axis=0)):
        decoded = Mwpm().compile(problem).decode(syndromes, beliefs)
        flips = np.unpackbits(decoded.observables, axis=1, count=70, bitorder="little")
        assert np.flatnonzero(flips[0]).tolist() == [0, 35, 69]
        assert not flips[1].any()


def test_a_detector_without_edges_makes_its_shots_invalid_and_no_others():
    model = "error(0.1) D0 L0\nerror(0.1) D0 D1\nerror(0.1) D1\ndetector D2\nerror(0.1) D3 D4"
    problem = problem_from_dem(stim.DetectorErrorModel(model), name="lonely")
    bits = np.array([[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]], np.uint8)
    syndromes = np.packbits(bits, axis=1, bitorder="little")
    beliefs = np.repeat(problem.priors_llr[None], 4, axis=0)
    for decoder in (Mwpm(), MwpmCorrelated()):
        given = (None, beliefs) if decoder.takes_beliefs else (None,)
        for told in given:
            decoded = decoder.compile(problem).decode(syndromes, told)
            assert decoded.invalid.tolist() == [False, True, True, False]
            assert decoded.observables[0, 0] == 1
            assert decoded.failures(np.zeros((4, 1), np.uint8)).tolist() == [True, True, True, False]


def test_a_panicking_solver_costs_one_shot(monkeypatch):
    general_instead_of_clusters(monkeypatch, 0)
    problem = surface_problem(3, 0.02)
    syndromes = sample_chunk(problem, 2).syndromes[:50]
    beliefs = np.repeat(problem.priors_llr[None], 50, axis=0)
    expected = Mwpm().compile(problem).decode(syndromes, beliefs)
    compiled = Mwpm().compile(problem)
    broken = compiled._general
    real = broken._solver

    class Panic(BaseException):
        pass

    class Once:
        def solve(self, pattern):
            raise Panic

    broken._solver = Once()
    decoded = compiled.decode(syndromes, beliefs)
    assert decoded.invalid.sum() == 1
    assert broken._solver is not real
    rest = ~decoded.invalid
    assert (decoded.observables[rest] == expected.observables[rest]).all()


def test_an_answer_does_not_depend_on_the_batch():
    problem = surface_problem(3, 0.02)
    syndromes = sample_chunk(problem, 4).syndromes[:700]
    rng = np.random.default_rng(0)
    beliefs = (problem.priors_llr + rng.normal(0, 1, (700, len(problem.mechanisms)))).astype(np.float32)
    compiled = Mwpm().compile(problem)
    whole = compiled.decode(syndromes, beliefs).observables
    order = rng.permutation(700)
    assert (compiled.decode(syndromes[order], beliefs[order]).observables == whole[order]).all()
    assert (compiled.decode(syndromes[5:6], beliefs[5:6]).observables == whole[5:6]).all()
    assert compiled.decode(syndromes[:0], beliefs[:0]).observables.shape == (0, 1)


def test_priors_as_beliefs_decode_as_well_as_pymatching():
    problem = surface_problem(3, 0.01)
    shots = sample_chunk(problem, 6)
    compiled = Mwpm().compile(problem)
    static = compiled.decode(shots.syndromes)
    told = compiled.decode(shots.syndromes, np.repeat(problem.priors_llr[None], len(shots), axis=0))
    assert (static.observables != told.observables).mean() < 0.02  # ties
    assert MwpmCorrelated().compile(problem).decode(shots.syndromes).failures(shots.observables).mean() < 0.1


def test_hyperedges_are_refused_by_name():
    problem = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 D1 D2 L0\nerror(0.1) D0"), name="hyper")
    for decoder in (Mwpm(), MwpmCorrelated()):
        with pytest.raises(UsageError, match="three or more detectors") as caught:
            decoder.compile(problem)
        assert "a decoder for hyperedges" in caught.value.hint


def test_wrong_arrays_are_refused():
    problem = surface_problem(3, 0.01)
    compiled = Mwpm().compile(problem)
    syndromes = np.zeros((2, problem.syndrome_bytes), np.uint8)
    beliefs = np.repeat(problem.priors_llr[None], 2, axis=0)
    with pytest.raises(UsageError, match="float64"):
        compiled.decode(syndromes, beliefs.astype(np.float64))
    with pytest.raises(UsageError, match="shape"):
        compiled.decode(syndromes[:, :-1], beliefs)
    beliefs[1, 3] = np.nan
    with pytest.raises(UsageError, match="shot 1, mechanism 3"):
        compiled.decode(syndromes, beliefs)
    with pytest.raises(UsageError, match="no beliefs"):
        MwpmCorrelated().compile(problem).decode(syndromes, beliefs)


def test_read_only_arrays_are_fine():
    problem = surface_problem(3, 0.01)
    syndromes = np.zeros((2, problem.syndrome_bytes), np.uint8)
    beliefs = np.repeat(problem.priors_llr[None], 2, axis=0)
    for array in (syndromes, beliefs):
        array.flags.writeable = False
    assert not Mwpm().compile(problem).decode(syndromes, beliefs).observables.any()


def test_they_are_decoders_and_travel():
    problem = surface_problem(3, 0.01)
    syndromes = sample_chunk(problem, 1).syndromes[:64]
    for decoder in (Mwpm(), MwpmCorrelated()):
        assert isinstance(decoder, Decoder)
        compiled = decoder.compile(problem)
        before = compiled.decode(syndromes).observables
        again = pickle.loads(pickle.dumps(compiled))
        assert (again.decode(syndromes).observables == before).all()
