"""On fixed shots that a gate sends on, more members of an ensemble never surely do worse, and many do surely better than one."""

import numpy as np
import pytest
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.ensemble import open_ensemble
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.sampling import sample_chunk
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import mcnemar_p
from autoqec.testing import surface_problem


@pytest.fixture(scope="module")
def measured():
    """Which of some gated shots each number of members fails on; 0 is the pipeline alone."""
    problem = surface_problem(5, 0.005)
    decoder = compile_decoder(Choice(kind="mwpm"), problem, load_plugins())
    chunks = [sample_chunk(problem, seed) for seed in (11, 12, 13)]
    drawn, flips = (np.concatenate([getattr(each, name) for each in chunks]) for name in ("syndromes", "observables"))
    unsure = decoder.confidence(drawn, 4.4) <= 4.4
    syndromes, truth = np.ascontiguousarray(drawn[unsure]), flips[unsure]
    kind, config = NeuralBP(), NeuralBPConfig(iterations=5)
    tensors = {name: each.detach().numpy() for name, each in kind.build(config, problem).state_dict().items()}
    refine = kind.inference(config, tensors, problem)

    def pipeline(asked, priors):
        start = np.repeat((problem.priors_llr if priors is None else priors)[None], len(asked), axis=0)
        beliefs = np.clip(refine(asked, start), -50, 50)
        return (np.rint(beliefs * 1024) / 1024).astype(np.float32), np.zeros(len(asked), dtype=bool)

    failed = {0: decoder.decode(syndromes, pipeline(syndromes, None)[0]).failures(truth)}
    for members in (1, 4, 16):
        ensembling = open_ensemble(Ensemble(members=members, passes=min(members, 4)), decoder, problem)
        failed[members] = ensembling.decode(syndromes, pipeline).answer.failures(truth)
    return failed


def chance(better, worse):
    """Of so many more failures of `worse` than of `better`, or more, if both were as good."""
    only_better, only_worse = int((better & ~worse).sum()), int((worse & ~better).sum())
    return mcnemar_p(PairedCounts(len(better), int((better & worse).sum()), only_worse, only_better))


@pytest.mark.parametrize(("few", "more"), [(0, 4), (1, 4), (1, 16), (4, 16), (0, 16)])
def test_more_members_never_cost_a_sure_loss(measured, few, more):
    assert chance(measured[few], measured[more]) > 0.05


def test_sixteen_members_are_surely_better_than_one(measured):
    assert len(measured[0]) > 1000
    assert chance(measured[16], measured[1]) < 0.01
