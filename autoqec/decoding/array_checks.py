"""Checks of what a decoder is given, so that a wrong array is an error with a name and not a wrong answer."""

from __future__ import annotations

import numpy as np

from autoqec.errors import UsageError
from autoqec.problem.problem import Problem


def plain(array: np.ndarray) -> np.ndarray:
    """The array itself where it is C-contiguous and writeable, else a copy.

    Compiled kernels are made anew for every combination of layouts and flags, at seconds each; so they see only one.
    """
    return np.require(array, requirements=("C", "W"))


def check_syndromes(problem: Problem, syndromes: np.ndarray) -> np.ndarray:
    """Syndromes as a plain array (see `plain`), after checking them.

    Args:
        problem: What they belong to.
        syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.

    Raises:
        UsageError: Shape or dtype is wrong, or a bit beyond the last detector is set.
    """
    _check(problem, "syndromes", syndromes, np.dtype(np.uint8), problem.syndrome_bytes, "bit-packed bytes")
    used = problem.num_detectors % 8
    if used and (syndromes[:, -1] >> used).any():
        raise UsageError(f"{problem.name}: syndromes have a bit set beyond detector {problem.num_detectors - 1}")
    return plain(syndromes)


def check_beliefs(problem: Problem, beliefs: np.ndarray, shots: int) -> np.ndarray:
    """Beliefs as a plain array (see `plain`), after checking them.

    Args:
        problem: What they belong to.
        beliefs: Log-likelihood ratios, float32 `[shots, mechanisms]`.
        shots: How many syndromes they go with.

    Raises:
        UsageError: Shape or dtype is wrong, or a value is not finite; names the first such shot.
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
            hint="the predecoder overflowed or was fed NaN; clip its output, and look at its training loss",
        )
    return plain(beliefs)


def _check(problem: Problem, what: str, array: np.ndarray, dtype: np.dtype, width: int, unit: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise UsageError(f"{problem.name}: {what} must be a {dtype} array, not {found}")
    if array.ndim != 2 or array.shape[1] != width:
        raise UsageError(f"{problem.name}: {what} must have shape (shots, {width}) ({unit}), not {array.shape}")
