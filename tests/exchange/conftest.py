"""Rounds without a lab: an untrained predecoder is one, too, and is made in a blink."""

import pytest

from autoqec.candidate.compile import build_modules, module_tensors
from autoqec.candidate.schema import read_candidate, write_candidate
from autoqec.candidate.weights import save_weights
from autoqec.exchange.package import Package
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.testing import TINY_ENVIRONMENT


@pytest.fixture(scope="session")
def make_package():
    """A function from the text of an environment and the candidate's files to a package."""
    registry = load_plugins()

    def make(environment=TINY_ENVIRONMENT, **files):
        sources = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 3\n"} | files
        env_files = {"environment.yaml": environment.encode()}
        problem = build_problem(environment_from_files(env_files, origin="here"), registry.maker("code"))
        candidate = read_candidate(sources, registry.maker("stage"))
        weights = save_weights(module_tensors(build_modules(candidate, problem)), fingerprints=[problem.fingerprint])
        return Package(
            "exp/here/1", "c0ffee" * 6, env_files, SealedCandidate(write_candidate(candidate), weights), None
        )

    return make


@pytest.fixture(scope="session")
def package(make_package):
    return make_package()
