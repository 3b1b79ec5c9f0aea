"""CSS codes as pairs of parity-check matrices, and their logical operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoqec.errors import UsageError
from autoqec.problem.gf2 import independent_of, kernel, rank
from autoqec.size_limits import OBSERVABLES


@dataclass(frozen=True)
class CssCode:
    """A CSS code (Calderbank, Shor 1996; Steane 1996). All matrices are 0 and 1, uint8.

    Attributes:
        hx: X checks, `[x checks, qubits]`.
        hz: Z checks, `[z checks, qubits]`.
        lx: X logical operators, `[k, qubits]`: each commutes with every Z check and is not a product of X checks.
        lz: Z logical operators, correspondingly.
    """

    hx: np.ndarray
    hz: np.ndarray
    lx: np.ndarray
    lz: np.ndarray

    @property
    def num_qubits(self) -> int:
        """Data qubits, n."""
        return self.hx.shape[1]


def css_code(hx: np.ndarray, hz: np.ndarray, lx: np.ndarray | None = None, lz: np.ndarray | None = None) -> CssCode:
    """Build a CSS code from its checks; it computes logical operators that are not given.

    Args:
        hx: X checks, `[x checks, qubits]`.
        hz: Z checks, `[z checks, qubits]`.
        lx: X logical operators, `[k, qubits]`.
        lz: Z logical operators, `[k, qubits]`.

    Raises:
        UsageError: Sizes differ, an X check anticommutes with a Z check (the error names both), the code has no logical
            qubit or too many, or the given logical operators are not k independent ones that commute with the checks.
    """
    if hx.shape[1] != hz.shape[1]:
        raise UsageError(f"the X checks act on {hx.shape[1]} qubits, but the Z checks on {hz.shape[1]}")
    clash = np.argwhere(_odd_overlap(hx, hz))
    if len(clash):
        x, z = clash[0]
        raise UsageError(
            f"X check {x} and Z check {z} anticommute: they share an odd number of qubits",
            hint="every row of hx must share an even number of qubits with every row of hz: hx @ hz.T = 0 mod 2",
        )
    k = hx.shape[1] - rank(hx) - rank(hz)
    if k == 0:
        raise UsageError("the code has no logical qubit: n - rank(hx) - rank(hz) is 0")
    if k > OBSERVABLES:
        raise UsageError(f"the code has {k:,} logical qubits; at most {OBSERVABLES:,} fit in memory", code="over_limit")
    return CssCode(hx, hz, _logicals(lx, hx, hz, k, "lx"), _logicals(lz, hz, hx, k, "lz"))


def _logicals(given: np.ndarray | None, same: np.ndarray, other: np.ndarray, k: int, name: str) -> np.ndarray:
    if given is None:
        return independent_of(kernel(other), same)
    if given.shape != (k, same.shape[1]):
        raise UsageError(
            f"{name} has shape {given.shape}; this code needs {k} logical operators on {same.shape[1]} qubits"
        )
    if _odd_overlap(given, other).any():
        raise UsageError(f"{name}: row {np.argwhere(_odd_overlap(given, other))[0][0]} anticommutes with a check")
    if len(independent_of(given, same)) < k:
        raise UsageError(
            f"{name}: a row is a product of checks and other rows, so the logical operators are not independent"
        )
    return given


def _odd_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which rows of `a` share an odd number of places with which rows of `b`, bool `[rows of a, rows of b]`."""
    from scipy.sparse import csr_array

    shared = csr_array(a, dtype=np.int64) @ csr_array(b, dtype=np.int64).T
    return np.asarray(shared.toarray() % 2 == 1)
