"""Checks of a decoder's input arrays, so that a wrong array raises an error instead of giving a wrong result."""

from __future__ import annotations

import numpy as np

from autoqec.errors import UsageError
from autoqec.problem.problem import Problem


def plain(array: np.ndarray) -> np.ndarray:
    """Return the array itself if it is C-contiguous and writeable, else a copy.

    numba compiles a kernel again for every combination of layouts and flags, which takes seconds; so kernels get only one.
    """
    return np.require(array, requirements=("C", "W"))


def check_syndromes(problem: Problem, syndromes: np.ndarray) -> np.ndarray:
    """Check syndromes and return them as a plain array (see `plain`).

    Args:
        problem: Their problem.
        syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.

    Raises:
        UsageError: Shape or dtype is wrong, or a bit after the last detector is set.
    """
    _check(problem, "syndromes", syndromes, np.dtype(np.uint8), problem.syndrome_bytes, "bit-packed bytes")
    used = problem.num_detectors % 8
    if used and (syndromes[:, -1] >> used).any():
        raise UsageError(
            f"{problem.name}: syndromes have a bit set after detector {problem.num_detectors - 1}, the last"
        )
    return plain(syndromes)


def check_beliefs(problem: Problem, beliefs: np.ndarray, shots: int) -> np.ndarray:
    """Check beliefs and return them as a plain array (see `plain`).

    Args:
        problem: Their problem.
        beliefs: Log-likelihood ratios, float32 `[shots, mechanisms]`.
        shots: The number of syndromes.

    Raises:
        UsageError: Shape or dtype is wrong, or a value is not finite; the error names the first such shot.
    """
    _check(problem, "beliefs", beliefs, np.dtype(np.float32), len(problem.mechanisms), "mechanisms")
    if len(beliefs) != shots:
        raise UsageError(f"{problem.name}: {len(beliefs)} rows of beliefs for {shots} syndromes")
    finite = np.isfinite(beliefs)
    if not finite.all():
        shot, mechanism = np.argwhere(~finite)[0]
        raise UsageError(
            f"{problem.name}: beliefs are not finite, first at shot {shot}, mechanism {mechanism}: "
            f"{beliefs[shot, mechanism]}",
            hint="the predecoder overflowed or received NaN; clip its output and check its training loss",
        )
    return plain(beliefs)


def _check(problem: Problem, what: str, array: np.ndarray, dtype: np.dtype, width: int, unit: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise UsageError(f"{problem.name}: {what} must be a {dtype} array, not {found}")
    if array.ndim != 2 or array.shape[1] != width:
        raise UsageError(f"{problem.name}: {what} must have shape (shots, {width}) ({unit}), not {array.shape}")
