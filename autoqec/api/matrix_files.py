"""Matrices and probabilities in memory as the files that an environment names: the same values give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autoqec.errors import UsageError


def matrix_market(matrix: Any, name: str) -> bytes:
    """A matrix of 0 and 1 as Matrix Market text: its ones by row and column.

    scipy would write it too, but its text may change with its version, and the environment's identity with that.

    Args:
        matrix: An array, a nested list, or a scipy sparse matrix.
        name: The argument, for messages.

    Raises:
        UsageError: It is no matrix, or has an entry other than 0 and 1.
    """
    array = _array(matrix.toarray() if hasattr(matrix, "toarray") else matrix, name)
    if array.ndim != 2 or 0 in array.shape:
        raise UsageError(f"{name} must be a matrix with at least one row and one column, not of shape {array.shape}")
    odd = np.argwhere((array != 0) & (array != 1))
    if len(odd):
        row, column = odd[0]
        raise UsageError(f"{name}: entry {array[row, column]} at row {row}, column {column} is neither 0 nor 1")
    ones = np.argwhere(array != 0)
    lines = [f"{row + 1} {column + 1}" for row, column in ones.tolist()]
    head = ["%%MatrixMarket matrix coordinate pattern general", f"{array.shape[0]} {array.shape[1]} {len(ones)}"]
    return ("\n".join([*head, *lines]) + "\n").encode()


def priors_text(priors: float | Sequence[float] | np.ndarray) -> bytes | float:
    """Probabilities as text, one a line, or the one that all mechanisms have.

    Raises:
        UsageError: They are not a number or a list of numbers.
    """
    array = _array(priors, "priors")
    if array.ndim > 1 or array.dtype.kind not in "fiu":
        raise UsageError(f"priors must be one probability, or one for each mechanism, not of shape {array.shape}")
    if array.ndim == 0:
        return float(array)
    return ("\n".join(repr(float(prior)) for prior in array) + "\n").encode()


def _array(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise UsageError(f"{name} is not an array: {str(error).splitlines()[0]}") from error
    if array.dtype.kind not in "bfiu":
        raise UsageError(f"{name} must hold numbers, not {array.dtype}")
    return array
