"""Every seed template trains and scores: its validation loss falls, and what it says reaches the decoder."""

import numpy as np
import pytest
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm
from autoqec_plugins.search.templates import TEMPLATES

from autoqec.candidate.compile import build_modules, compile_inference, module_tensors
from autoqec.candidate.schema import read_candidate
from autoqec.canonical import dump_yaml
from autoqec.decoding.flipping import HardFlip
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk
from autoqec.runner.training import train
from autoqec.scoring.predictor import settle_beliefs
from autoqec.testing import surface_problem

#: The quick test takes the cheapest stage of the old kind, one of a new kind and the flips; the slow one takes all.
QUICK = {"first_look", "dense", "sure"}


def _named(template):
    return "-".join(template.stages)


@pytest.mark.parametrize(
    "template",
    [t if set(t.stages) & QUICK else pytest.param(t, marks=pytest.mark.slow) for t in TEMPLATES],
    ids=lambda template: _named(template),
)
def test_trains_and_scores(template):
    problem = surface_problem(3, 0.01)
    files = {"training.yaml": dump_yaml({**template.training, "shots": 8192, "batch_size": 128}).encode()}
    files |= {f"stages/{slug}/stage.yaml": dump_yaml(dict(f)).encode() for slug, f in template.stages.items()}
    if template.output:
        files["output.yaml"] = dump_yaml(dict(template.output)).encode()
    candidate = read_candidate(files, load_plugins().maker("stage"))
    decoder, shots = Mwpm().compile(problem), sample_chunk(problem, 1)
    trained = train(
        candidate,
        [problem],
        [decoder],
        seed=b"t" * 32,
        max_shots=8192,
        initial={},
        inherit=False,
        report=lambda progress: None,
    )
    assert trained.telemetry["validation_after"] < trained.telemetry["validation_before"]
    assert trained.telemetry["steps"] > 0
    beliefs = compile_inference(candidate, trained.tensors, problem)(
        shots.syndromes, np.repeat(problem.priors_llr[None], len(shots), axis=0)
    )
    assert not settle_beliefs(beliefs, problem.priors_llr).any()
    output = candidate.output
    backend = HardFlip(decoder, problem, output.threshold) if output.mode == "hard_flip" else decoder
    failed = backend.decode(shots.syndromes, beliefs).failures(shots.observables).mean()
    assert failed < shots.observables.any(axis=1).mean(), "worse than not decoding"


@pytest.mark.slow
def test_flips_of_the_sure_gain_over_matching_alone():
    """On the distance-5 code, where there is something to gain."""
    (template,) = (each for each in TEMPLATES if each.output)
    problem = surface_problem(5, 0.005)
    files = {"output.yaml": dump_yaml(dict(template.output)).encode()}
    files |= {f"stages/{slug}/stage.yaml": dump_yaml(dict(f)).encode() for slug, f in template.stages.items()}
    candidate = read_candidate(files, load_plugins().maker("stage"))
    assert template.training["shots"] == 0
    infer = compile_inference(candidate, module_tensors(build_modules(candidate, problem)), problem)
    decoder = Mwpm().compile(problem)
    flips = HardFlip(decoder, problem, candidate.output.threshold)
    failures = np.zeros(2)
    for seed in range(16):
        shots = sample_chunk(problem, seed)
        beliefs = infer(shots.syndromes, np.repeat(problem.priors_llr[None], len(shots), axis=0))
        settle_beliefs(beliefs, problem.priors_llr)
        for way, decoded in enumerate((decoder.decode(shots.syndromes), flips.decode(shots.syndromes, beliefs))):
            failures[way] += decoded.failures(shots.observables).sum()
    assert failures[1] < 0.95 * failures[0]
