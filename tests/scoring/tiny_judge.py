"""The tiny environment before a judge's decoders, for tests of candidates with a gate or an ensemble."""

import hashlib

from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.scoring import shard
from autoqec.scoring.decoder_set import open_decoder_set
from autoqec.scoring.scoring_requests import ScoringTask
from autoqec.scoring.shard import ChunkScore
from autoqec.testing import TINY_ENVIRONMENT, custom_module

SEED = 5
FILES = {ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}
PROBLEM = build_problem(environment_from_files(FILES, origin="e"), load_plugins().maker("code"), None)
STAGE = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 4\n"}


def own(code):
    """The files of a stage with code of its own."""
    return {"stages/own/stage.yaml": b"kind: custom\n", "stages/own/module.py": custom_module(code).encode()}


OWN = own("return beliefs * 0.9 + self.w")


def task(candidate, seeds=(SEED,), **fields):
    return ScoringTask(environment=FILES, sealed=candidate, seeds=tuple(seeds), **fields)


def scores(candidate, seeds=(SEED,), **fields):
    """What each chunk scores."""
    chunks = shard.score_chunks(task(candidate, seeds, **fields).to_message()).fields["chunks"]
    return [ChunkScore.from_dict(chunk) for chunk in chunks]


def decoders(candidate, resources, workers=None):
    blobs = {f"env:{name}": data for name, data in FILES.items()} | candidate.to_blobs()
    return open_decoder_set(blobs, None, None, resources, workers)


def digest(observables, invalid):
    """The answers of a chunk as a score names them."""
    return hashlib.sha256(observables.tobytes() + invalid.tobytes()).hexdigest()
