"""One lab for all tests of the command line, for it takes the command half a minute to make."""

import json
import subprocess
import sys

import pytest

from autoqec.testing import make_tiny_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A tiny lab with two rounds, made by the command itself: its folder, the rounds as printed, standard error."""
    folder = tmp_path_factory.mktemp("lab")
    make_tiny_lab(folder)
    command = [sys.executable, "-m", "autoqec", "round", "--rounds", "2", "--seed", "3", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()], done.stderr
