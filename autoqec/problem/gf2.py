"""Linear algebra over the field of two elements, on dense uint8 matrices of 0 and 1."""

from __future__ import annotations

import numpy as np


def reduced(matrix: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Reduced row echelon form without its zero rows, and the pivot column of each row.

    Args:
        matrix: 0 and 1, `[rows, columns]`.
    """
    rows = np.array(matrix, dtype=np.uint8) & 1
    pivots: list[int] = []
    for column in range(rows.shape[1]):
        top = len(pivots)
        below = np.flatnonzero(rows[top:, column])
        if not len(below):
            continue
        rows[[top, top + below[0]]] = rows[[top + below[0], top]]
        others = np.flatnonzero(rows[:, column])
        rows[others[others != top]] ^= rows[top]
        pivots.append(column)
        if len(pivots) == len(rows):
            break
    return rows[: len(pivots)], pivots


def rank(matrix: np.ndarray) -> int:
    """Number of independent rows."""
    return len(reduced(matrix)[1])


def kernel(matrix: np.ndarray) -> np.ndarray:
    """A basis of all v with `matrix @ v = 0`, uint8 `[columns - rank, columns]`."""
    rows, pivots = reduced(matrix)
    columns = matrix.shape[1]
    free = np.setdiff1d(np.arange(columns), pivots)
    basis = np.zeros((len(free), columns), dtype=np.uint8)
    basis[np.arange(len(free)), free] = 1
    basis[:, pivots] = rows[:, free].T
    return basis


def independent_of(candidates: np.ndarray, span: np.ndarray) -> np.ndarray:
    """The candidates, first come first kept, that lie neither in the span nor in each other's sum with it.

    Args:
        candidates: uint8 `[candidates, columns]`.
        span: uint8 `[rows, columns]`.
    """
    # The pivot columns of the matrix whose columns are span, then candidates, are those that none before them gives.
    pivots = reduced(np.concatenate([span, candidates]).T)[1]
    return candidates[[pivot - len(span) for pivot in pivots if pivot >= len(span)]]
