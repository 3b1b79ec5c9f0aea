"""Fixtures of the tests of processes."""

import pytest
import warm_processes


@pytest.fixture(autouse=True, scope="module")
def _fresh_processes():
    """How processes begin, live and end is what is tested here."""
    with warm_processes.fresh_processes():
        yield
