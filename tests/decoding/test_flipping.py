"""Hard flips against a definition: flips plus a correction of the residual correct the true syndrome."""

import numpy as np
import pytest

from autoqec.decoding.flipping import HardFlip, syndromes_of_mechanisms
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk, sample_labelled

SHOTS = 400


@pytest.fixture(scope="module")
def compiled(autoqec_problem):
    return load_plugins().get("decoder", "mwpm").create().compile(autoqec_problem)


def test_told_the_truth_it_is_never_wrong(autoqec_problem, compiled):
    syndromes, observables, fired = sample_labelled(autoqec_problem, SHOTS, 3)
    truth = np.packbits(observables, axis=1, bitorder="little")
    told = np.where(fired, np.float32(-5), np.float32(5))
    decoded = HardFlip(compiled, autoqec_problem, 0.5).decode(np.packbits(syndromes, axis=1, bitorder="little"), told)
    assert not decoded.failures(truth).any()


def test_flipping_nothing_is_the_decoder_itself(autoqec_problem, compiled):
    shots = sample_chunk(autoqec_problem, 4)
    flip = HardFlip(compiled, autoqec_problem, 0.5)
    plain = compiled.decode(shots.syndromes).observables
    never = np.full((len(shots), len(autoqec_problem.mechanisms)), 20, dtype=np.float32)
    assert (flip.decode(shots.syndromes, never).observables == plain).all()
    assert (flip.decode(shots.syndromes).observables == plain).all()


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_the_threshold_is_a_probability(autoqec_problem, compiled, threshold):
    mechanism, border = 7, np.log((1 - threshold) / threshold)
    beliefs = np.full((2, len(autoqec_problem.mechanisms)), 20, dtype=np.float32)
    beliefs[:, mechanism] = border + 0.01, border - 0.01  # a little less and a little more likely than the threshold
    alone = syndromes_of_mechanisms(autoqec_problem)[mechanism]
    flipped = HardFlip(compiled, autoqec_problem, threshold).decode(np.stack([0 * alone, alone]), beliefs)
    assert flipped.observables[1] == autoqec_problem.mechanisms.observables[mechanism]
    assert flipped.observables[0] == 0


def test_syndromes_are_not_changed(autoqec_problem, compiled):
    shots = sample_chunk(autoqec_problem, 5)
    before = shots.syndromes.copy()
    HardFlip(compiled, autoqec_problem, 0.5).decode(
        shots.syndromes, np.full((4096, len(autoqec_problem.mechanisms)), -3, np.float32)
    )
    assert (shots.syndromes == before).all()
