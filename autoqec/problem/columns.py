"""A Tanner graph given by matrices as an error model. What a column means is decided here and in `dem`, and nowhere else.

Mechanism m is an error of probability `priors[m]` that flips the checks and observables with a one in column m. A column
without a one is an error that flips nothing. It and an error of probability 0 stay in the model, so that mechanisms keep
their numbers, and `dem.read_dem` leaves them out of the problem, as it does in any error model.
"""

from __future__ import annotations

import numpy as np
import stim

from autoqec.errors import UsageError


def model_of_columns(checks: np.ndarray, observables: np.ndarray, priors: np.ndarray) -> stim.DetectorErrorModel:
    """Build the error model of a Tanner graph.

    Args:
        checks: 0 and 1, uint8 `[checks, mechanisms]`.
        observables: 0 and 1, uint8 `[observables, mechanisms]`.
        priors: Probability of each mechanism, float64 `[mechanisms]`; see `autoqec.problem.matrices.checked_priors`.

    Returns:
        A model with one error for each column, in their order, and every check and observable declared.

    Raises:
        UsageError: The matrices have different numbers of columns.
    """
    count = checks.shape[1]
    if observables.shape[1] != count:
        raise UsageError(f"the checks have {count} mechanisms and the observables have {observables.shape[1]}")
    lines = [f"detector D{check}" for check in range(len(checks))]
    lines += [f"logical_observable L{observable}" for observable in range(len(observables))]
    flipped, flips = _ones(checks, "D"), _ones(observables, "L")
    for prior, detectors, logicals in zip(priors.tolist(), flipped, flips, strict=True):
        lines.append(f"error({prior!r}){detectors}{logicals}")
    return stim.DetectorErrorModel("\n".join(lines))


def _ones(matrix: np.ndarray, letter: str) -> list[str]:
    """The targets of each column as an error model writes them, such as ` D0 D3`."""
    column, row = np.nonzero(matrix.T)
    parts = np.split(row, np.searchsorted(column, np.arange(1, matrix.shape[1])))
    return ["".join(f" {letter}{one}" for one in part.tolist()) for part in parts]
