"""Wrong arrays are errors with a name, before a kernel sees them."""

import subprocess
import sys

import numpy as np
import pytest
import stim

from autoqec.decoding import check_beliefs, check_syndromes
from autoqec.errors import UsageError
from autoqec.problem.problem import problem_from_dem


@pytest.fixture(scope="module")
def problem():
    model = "".join(f"error(0.1) D{i} D{i + 1}\n" for i in range(9)) + "error(0.1) D0 L0\nerror(0.1) D9"
    return problem_from_dem(stim.DetectorErrorModel(model), name="chain")


@pytest.mark.parametrize(
    ("syndromes", "message"),
    [
        (np.zeros((3, 2), np.int64), "uint8 array, not int64"),
        (np.zeros((3, 10), np.uint8), r"shape \(shots, 2\).*not \(3, 10\)"),
        (np.zeros(2, np.uint8), r"not \(2,\)"),
        ([[0, 0]], "not list"),
        (np.full((1, 2), 255, np.uint8), "after detector 9"),
    ],
)
def test_wrong_syndromes(problem, syndromes, message):
    with pytest.raises(UsageError, match=message):
        check_syndromes(problem, syndromes)


def test_wrong_beliefs(problem):
    good = np.zeros((4, 11), np.float32)
    check_beliefs(problem, good, 4)
    for bad, message in [
        (good.astype(np.float64), "float32 array, not float64"),
        (good[:, :10], r"\(shots, 11\)"),
        (good[:3], "3 rows of beliefs for 4 syndromes"),
    ]:
        with pytest.raises(UsageError, match=message):
            check_beliefs(problem, bad, 4)
    for value in (np.nan, np.inf, -np.inf):
        bad = good.copy()
        bad[2, 5] = value
        with pytest.raises(UsageError, match="shot 2, mechanism 5"):
            check_beliefs(problem, bad, 4)


def test_contiguity_is_taken_care_of(problem):
    strided = np.zeros((4, 22), np.float32)[:, ::2]
    assert check_beliefs(problem, strided, 4).flags.c_contiguous


def test_importing_the_room_compiles_nothing():
    code = "import sys, autoqec.decoding; sys.exit('numba' in sys.modules or 'stim' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_exists():
    import autoqec.decoding as room

    assert all(getattr(room, name) is not None for name in room.__all__)
    with pytest.raises(AttributeError):
        room.no_such_name  # noqa: B018
