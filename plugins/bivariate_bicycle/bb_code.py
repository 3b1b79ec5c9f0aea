"""Bivariate bicycle codes and their syndrome cycle of depth eight.

Source: Bravyi, Cross, Gambetta, Maslov, Rall, Yoder, "High-threshold and low-overhead fault-tolerant quantum memory",
Nature 627, 778 (2024), arXiv:2308.07915. `hx = [A | B]` and `hz = [Bᵀ | Aᵀ]`, where A and B are sums of three monomials
each in two commuting cyclic shifts. The [[72, 12, 6]] code has l = m = 6, A = x^3 + y + y^2, B = y^3 + x + x^2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import stim
from pydantic import Field

from autoqec.errors import UsageError
from autoqec.problem.css import CssCode, css_code
from autoqec.problem.memory import Layers, Layout, MemoryFields, Schedule, noisy_memory
from autoqec.problem.noise import Noise

from .polynomial import Monomial, parse, partner

#: The cycle of table 5 of the paper: which of its six qubits a check touches in each of seven layers (the eighth measures).
#: 0, 1, 2 are the monomials of the left block (A for X checks, Bᵀ for Z checks), 3, 4, 5 those of the right one.
_X_ORDER = (None, 1, 4, 3, 5, 0, 2)
_Z_ORDER = (3, 5, 0, 1, 2, 4, None)


class BivariateBicycleFields(MemoryFields):
    """The code by its polynomials, and the memory experiment.

    Attributes:
        l: Order of x.
        m: Order of y.
        a: A polynomial of three terms, such as `x^3 + y + y^2`.
        b: The other polynomial.
    """

    l: int = Field(ge=2, le=64)  # noqa: E741 - the paper's letter
    m: int = Field(ge=2, le=64)
    a: str
    b: str


class BivariateBicycle:
    """A memory experiment of a bivariate bicycle code; see the module."""

    Config = BivariateBicycleFields
    EXAMPLE: ClassVar = {
        "code": {"l": 6, "m": 6, "a": "x^3 + y + y^2", "b": "y^3 + x + x^2", "rounds": 1},
        "noise": {"kind": "depolarizing", "p": [0.002]},
    }

    def build(
        self, config: BivariateBicycleFields, noise: Noise, p: float | None, files: Mapping[str, bytes]
    ) -> stim.Circuit:
        """See `autoqec.problem.code_contract.Code.build`."""
        code, schedule = bicycle(config)
        # Idle qubits are places of error in the paper's noise model.
        return noisy_memory(config, code, schedule, noise, p, layout=_torus(config.l, config.m), pauses=True)


def bicycle(config: BivariateBicycleFields) -> tuple[CssCode, Schedule]:
    """The code, and its CNOT layers.

    Raises:
        UsageError: A polynomial is not the sum of three different monomials, or the code has no logical qubit.
    """
    l, m = config.l, config.m  # noqa: E741 - the paper's letter
    a, b = (_three(getattr(config, name), f"code.{name}", l, m) for name in "ab")
    half = l * m
    inverse_a, inverse_b = ([(-x % l, -y % m) for x, y in terms] for terms in (a, b))  # transposes: inverse shifts
    x_qubits = _neighbours(a, b, l, m)
    z_qubits = _neighbours(inverse_b, inverse_a, l, m)
    hx, hz = (np.zeros((half, 2 * half), dtype=np.uint8) for _ in "xz")
    for matrix, qubits in ((hx, x_qubits), (hz, z_qubits)):
        for qubit in qubits:
            matrix[np.arange(half), qubit] = 1
    return css_code(hx, hz), Schedule(_layers(x_qubits, _X_ORDER), _layers(z_qubits, _Z_ORDER))


def _three(text: str, field: str, l: int, m: int) -> tuple[Monomial, ...]:  # noqa: E741
    terms = parse(text, field=field, l=l, m=m)
    if len(terms) != 3:
        raise UsageError(
            f"{field}: {text!r} has {len(terms)} terms; the depth-8 syndrome cycle is for three",
            hint="give other codes by their matrices: code.kind: parity_check",
        )
    return terms


def _neighbours(left: Sequence[Monomial], right: Sequence[Monomial], l: int, m: int) -> list[np.ndarray]:  # noqa: E741
    """For each of a check's six terms, the data qubit of every check, int64 `[l * m]`."""
    return [partner(term, l, m) for term in left] + [l * m + partner(term, l, m) for term in right]


def _layers(qubits: Sequence[np.ndarray], order: Sequence[int | None]) -> Layers:
    return [[] if turn is None else [(check, int(q)) for check, q in enumerate(qubits[turn])] for turn in order]


def _torus(l: int, m: int) -> Layout:  # noqa: E741
    """Four interleaved l × m lattices on a torus: X checks, left data, right data, Z checks (figure 1 of the paper)."""
    x, left, right, z = (
        [(2.0 * u + du, 2.0 * v + dv) for u in range(l) for v in range(m)]
        for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1))
    )
    return Layout(data=[*left, *right], x=x, z=z)
