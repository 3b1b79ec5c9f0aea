"""Linear algebra over the field of two elements, by `ldpc.mod2`, on dense uint8 matrices of 0 and 1.

ldpc is imported when it is first used: it loads much else, and only codes that are given as matrices need it.
"""

from __future__ import annotations

import numpy as np


def rank(matrix: np.ndarray) -> int:
    """Number of independent rows."""
    from ldpc import mod2

    return int(mod2.rank(matrix))


def kernel(matrix: np.ndarray) -> np.ndarray:
    """A basis of all v with `matrix @ v = 0`, uint8 `[columns - rank, columns]`.

    Of all bases it is the one that is the identity on the columns that depend on columns before them, whatever the version
    of ldpc: logical operators come from it, and recorded shots can only be drawn again with the same ones.
    """
    from ldpc import mod2

    free = np.setdiff1d(np.arange(matrix.shape[1]), mod2.pivot_rows(matrix.T))
    if not len(free):
        return np.zeros((0, matrix.shape[1]), dtype=np.uint8)
    basis = mod2.kernel(matrix).toarray().astype(np.uint8)
    inverse = np.asarray(mod2.inverse(basis[:, free]), dtype=np.uint8)
    canonical: np.ndarray = inverse @ basis % 2  # sums wrap around at 256, which is even
    return canonical


def independent_of(candidates: np.ndarray, span: np.ndarray) -> np.ndarray:
    """The candidates, first come first kept, that lie neither in the span nor in each other's sum with it.

    Args:
        candidates: uint8 `[candidates, columns]`.
        span: uint8 `[rows, columns]`.
    """
    from ldpc import mod2

    kept = np.sort(mod2.pivot_rows(np.concatenate([span, candidates]))) - len(span)
    return candidates[kept[kept >= 0]]
