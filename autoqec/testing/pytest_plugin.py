"""pytest fixtures for plugin authors; installed with AutoQEC, imported only when used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autoqec.testing.difficult_inputs import DIFFICULT_INPUTS, DifficultInput

if TYPE_CHECKING:
    from autoqec.history import Ledger
    from autoqec.problem.problem import Problem


@pytest.fixture
def autoqec_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A new lab with the tiny environment as its default; it is the current directory."""
    from autoqec.testing.tiny import make_tiny_lab

    ledger = make_tiny_lab(tmp_path / "lab")
    monkeypatch.chdir(tmp_path / "lab")
    return ledger


@pytest.fixture(scope="session")
def autoqec_problem() -> Problem:
    """The tiny environment's problem."""
    from autoqec.testing.tiny import tiny_problem

    return tiny_problem()


@pytest.fixture(params=DIFFICULT_INPUTS, ids=str)
def difficult_input(request: pytest.FixtureRequest) -> DifficultInput:
    """Each input of `autoqec.testing.DIFFICULT_INPUTS`, one after the other."""
    given: DifficultInput = request.param
    return given
