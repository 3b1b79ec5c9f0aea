"""What the tests of the command line share."""

import pytest


@pytest.fixture(scope="session")
def lab(played):
    """A tiny lab with two rounds, made by the command itself: its folder, the rounds as printed, standard error."""
    return played.folder, played.rounds, played.stderr
