"""Run by the tests in an environment that has the peeking plugin: all that AutoQEC does with a candidate's files."""

import json

import numpy as np

from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.runner.reading import canonical_candidate
from autoqec.runner.train import Limits, train_candidate
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.stage_files import needs_lock, stages_to_warm_up
from autoqec.scoring.matcher import Matcher
from autoqec.testing import TINY_ENVIRONMENT, tiny_problem

registry, problem = load_plugins(), tiny_problem()
files = {
    "stages/own/stage.yaml": b"kind: mlp\nposition: 1\n",
    "stages/peek/stage.yaml": b"kind: peeking\nword: ' secret '\nposition: 2\n",
    "training.yaml": b"shots: 64\nbatch_size: 16\n",
}
found = {"needs_lock": needs_lock(files, registry), "stages": stages_to_warm_up(files, registry)}
canonical = canonical_candidate(files, registry)
found["canonical"] = {path: data.decode() for path, data in canonical.items()}
found["refused"] = []
for text in (b"kind: peeking\nword: wrong\n", b"kind: peeking\nworld: x\n", b"kind: peeking\nposition: -1\n"):
    try:
        canonical_candidate({"stages/peek/stage.yaml": text}, registry)
    except AutoQECError as error:
        found["refused"].append([type(error).__name__, error.problem, error.code, dict(error.about)])
trained = train_candidate(
    canonical,
    [str(problem.dem)],
    {"kind": "mwpm"},
    stages=stages_to_warm_up(canonical, registry),
    parents=b"",
    seed=bytes(32),
    max_shots=64,
    inherit=False,
    locked=True,
    limits=Limits(300.0, 12 * 2**30),
    report=lambda fields: None,
)
found["training"] = trained.lock.level
blobs = {"env:environment.yaml": TINY_ENVIRONMENT.encode()} | SealedCandidate(canonical, trained.weights).to_blobs()
with Matcher(blobs) as matcher:
    found["scoring"] = matcher.wait(problem.observable_bytes).level
    matcher.candidate(np.zeros((4, problem.syndrome_bytes), dtype=np.uint8))
print(json.dumps(found))
