"""Rounds without a lab: an untrained predecoder is one, too, and is made in a blink."""

import pytest

from autoqec.exchange.package import Package
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.testing import TINY_ENVIRONMENT, untrained


@pytest.fixture(scope="session")
def make_package():
    """A function from the text of an environment and the candidate's files to a package."""
    registry = load_plugins()

    def make(environment=TINY_ENVIRONMENT, **files):
        sources = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 3\n"} | files
        env_files = {"environment.yaml": environment.encode()}
        problem = build_problem(environment_from_files(env_files, origin="here"), registry.maker("code"))
        return Package("exp/here/1", "c0ffee" * 6, env_files, untrained(sources, problem), None)

    return make


@pytest.fixture(scope="session")
def package(make_package):
    return make_package()
