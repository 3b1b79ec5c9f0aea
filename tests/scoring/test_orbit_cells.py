"""A candidate with factors shared by orbits answers at another number of rounds, in the judge's own process for it."""

import numpy as np

from autoqec.candidate.carrying import carried_weights
from autoqec.candidate.compile import compile_inference
from autoqec.candidate.schema import read_candidate
from autoqec.candidate.weights import carried_over, load_weights
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.predictor import Predictor, settle_beliefs
from autoqec.testing import surface_problem, untrained

FILES = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 2\nsharing: orbit\n"}


def test_weights_of_the_target_answer_at_a_cell_and_names_of_orbits_are_no_parameters(autoqec_problem):
    cell = surface_problem(3, 0.006, rounds=4, task="unrotated_memory_z")
    sealed = untrained(FILES, autoqec_problem)
    bound = SealedCandidate(sealed.files, carried_over(sealed.weights, cell.fingerprint))
    syndromes = sample_chunk(cell, 1).syndromes[:256]
    with Predictor(bound, cell) as predictor:
        predictor.wait()
        beliefs, invalid = predictor.predict(syndromes)
        cost = predictor.cost()
    assert not invalid.any()
    tensors = load_weights(sealed.weights)
    candidate = read_candidate(FILES, load_plugins().maker("stage"))
    here = compile_inference(candidate, carried_weights(candidate, tensors, cell).tensors, cell)
    expected = np.array(here(syndromes, np.repeat(cell.priors_llr[None], len(syndromes), axis=0)))
    settle_beliefs(expected, cell.priors_llr)
    assert beliefs.tobytes() == expected.tobytes()
    assert cost["params"] == tensors["bp.scale"].size + tensors["bp.correction"].size
    assert bound.parameters() == cost["params"] + cost["labels"]
    assert cost["labels"] > 0
