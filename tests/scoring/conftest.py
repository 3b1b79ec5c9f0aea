"""Fixtures of the tests of scoring."""

import pytest

from autoqec.scoring import shard


@pytest.fixture(scope="module")
def forget_decoder_set():
    """Ends the processes that scoring keeps between tasks, after the last test of a module."""
    yield
    shard._forget_decoder_set()
