"""The baseline is true matching: the most probable set of errors, whatever their order, against brute force."""

import tracemalloc
from functools import cache
from itertools import product

import numpy as np
import pymatching
import pytest
import stim
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm, MwpmCorrelated

from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import DIFFICULT_INPUTS

DETECTORS, OBSERVABLES = 4, 2

SYNDROMES = np.packbits(np.array(list(product((0, 1), repeat=DETECTORS)), np.uint8), axis=1, bitorder="little")


def errors_of(seed):
    """Edges between few detectors, so that many are parallel; some fire more often than not."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(9):
        ends = rng.choice(DETECTORS, size=rng.integers(1, 3), replace=False)
        flips = np.flatnonzero(rng.random(OBSERVABLES) < 0.4)
        targets = [f"D{d}" for d in ends] + [f"L{o}" for o in flips]
        made.append(f"error({rng.uniform(0.01, 0.95 if seed % 3 == 0 else 0.4):.6f}) {' '.join(targets)}")
    return made


def problem_of(lines):
    sizes = [f"detector D{DETECTORS - 1}", f"logical_observable L{OBSERVABLES - 1}"]
    return problem_from_dem(stim.DetectorErrorModel("\n".join([*lines, *sizes])), name="it")


@cache
def lightest(seed):
    """Least weight of each (syndrome, observables) by all sets of mechanisms, in nats; infinity for none."""
    found = problem_of(errors_of(seed)).mechanisms
    weights = np.log1p(-found.priors) - np.log(found.priors)
    masks = [0] * len(weights)
    for mechanism in range(len(weights)):
        for detector in found.detector[found.start[mechanism] : found.start[mechanism + 1]]:
            masks[mechanism] |= 1 << int(detector)
        masks[mechanism] |= int(found.observables[mechanism, 0]) << DETECTORS
    best = np.full((1 << DETECTORS, 1 << OBSERVABLES), np.inf)
    for chosen in product((0, 1), repeat=len(weights)):
        mask = 0
        for bit, own in zip(chosen, masks, strict=True):
            mask ^= own * bit
        place = mask & (1 << DETECTORS) - 1, mask >> DETECTORS
        best[place] = min(best[place], float(np.dot(chosen, weights)))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_answers_and_gaps_are_those_of_brute_force(seed):
    problem, best = problem_of(errors_of(seed)), lightest(seed)
    compiled = Mwpm().compile(problem)
    decoded, gaps = compiled.decode_with_confidence(SYNDROMES)
    by_beliefs = compiled.decode(SYNDROMES, np.repeat(problem.priors_llr[None], len(SYNDROMES), axis=0))
    for shot, syndrome in enumerate(SYNDROMES[:, 0]):
        weights = best[syndrome]
        assert decoded.invalid[shot] == np.isinf(weights.min())
        if decoded.invalid[shot]:
            continue
        answer = decoded.observables[shot, 0]
        assert weights[answer] == pytest.approx(weights.min(), abs=1e-2)
        assert weights[by_beliefs.observables[shot, 0]] == pytest.approx(weights.min(), abs=1e-2)
        others = np.delete(weights, answer).min()
        if np.isfinite(others):
            assert gaps[shot] == pytest.approx(max(others - weights[answer], 0), abs=0.05)
    assert (compiled.decode(SYNDROMES).observables == decoded.observables).all()


@pytest.mark.parametrize("kind", [Mwpm, MwpmCorrelated])
def test_the_order_of_errors_does_not_matter(kind):
    rng = np.random.default_rng(5)
    lines = [line for line in errors_of(1) if float(line[6:14]) < 0.5]
    one = kind().compile(problem_of(lines)).decode(SYNDROMES).observables
    for _ in range(6):
        shuffled = [lines[place] for place in rng.permutation(len(lines))]
        assert (kind().compile(problem_of(shuffled)).decode(SYNDROMES).observables == one).all()


def by_name(name):
    return next(each for each in DIFFICULT_INPUTS if each.name == name).problem()


@pytest.mark.parametrize("kind", [Mwpm, MwpmCorrelated])
def test_a_rare_error_that_comes_first_does_not_decide(kind):
    """0.0010 fail where the frequent edge decides, 0.0099 where the rare one does."""
    for name in ("twins_rare_first", "twins_rare_last"):
        problem = by_name(name)
        compiled = kind().compile(problem)
        assert not compiled.decode(np.array([[1]], dtype=np.uint8)).observables.any()


def test_a_pair_that_stim_splits_is_decoded_as_pymatching_does_unsplit():
    problem = by_name("split_pair")
    shots = sample_chunk(problem, 3)
    undecomposed = problem.circuit.detector_error_model(approximate_disjoint_errors=True)
    theirs = pymatching.Matching.from_detector_error_model(undecomposed)
    expected = theirs.decode_batch(shots.syndromes, bit_packed_shots=True, bit_packed_predictions=True)
    decoded = Mwpm().compile(problem).decode(shots.syndromes)
    assert (decoded.observables == expected).all()
    assert decoded.failures(shots.observables).sum() == 0  # a fifth of these shots, where the pair is split


def test_detectors_that_nothing_flips_take_no_memory_of_their_own():
    """A table of detectors by components without boundary took 3.4 GiB here."""
    problem = by_name("silent_30k")
    compiled = Mwpm().compile(problem)
    syndromes = np.zeros((3, problem.syndrome_bytes), dtype=np.uint8)
    syndromes[1, 0], syndromes[2, 1000] = 1, 1
    tracemalloc.start()
    decoded = compiled.decode(syndromes)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoded.invalid.tolist() == [False, False, True]
    assert most < 20e6
