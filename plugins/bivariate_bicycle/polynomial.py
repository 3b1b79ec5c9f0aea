"""Polynomials in two cyclic variables, as text and as sums of permutation matrices."""

from __future__ import annotations

import re

import numpy as np

from autoqec.errors import UsageError

_MONOMIAL = re.compile(r"(?:(1)|(?:x(?:\^(\d{1,4}))?)?\*?(?:y(?:\^(\d{1,4}))?)?)")

#: Exponents of x and y.
Monomial = tuple[int, int]


def parse(text: str, *, field: str, l: int, m: int) -> tuple[Monomial, ...]:  # noqa: E741 - the paper's letter
    """Read a sum of monomials such as `x^3 + y + y^2`.

    Args:
        text: Monomials in x and y, joined by `+`; `1` is the identity.
        field: The field it stands in, for messages.
        l: Order of x.
        m: Order of y.

    Returns:
        Exponents, each reduced modulo its order, in the order of the text.

    Raises:
        UsageError: A term is no monomial, or two terms are equal and cancel.
    """
    terms: list[Monomial] = []
    for term in text.replace("**", "^").split("+"):
        spelt = re.sub(r"\s", "", term)
        match = _MONOMIAL.fullmatch(spelt)
        if not spelt or match is None:
            raise UsageError(
                f"{field}: {term.strip()!r} is not a monomial", hint=f'{field}: "x^3 + y + y^2", for example'
            )
        x = int(match[2] or 1) if "x" in spelt else 0
        y = int(match[3] or 1) if "y" in spelt else 0
        terms.append((x % l, y % m))
    if len(set(terms)) != len(terms):
        raise UsageError(f"{field}: two terms of {text!r} are equal modulo x^{l} = y^{m} = 1 and cancel")
    return tuple(terms)


def partner(monomial: Monomial, l: int, m: int) -> np.ndarray:  # noqa: E741 - the paper's letter
    """Where the permutation matrix of a monomial has its ones: column of each row, int64 `[l * m]`.

    Row `u * m + v` is the group element x^u y^v; `x = S_l ⊗ 1` and `y = 1 ⊗ S_m` with `S` the cyclic shift (Bravyi et al.,
    section "Bivariate bicycle quantum LDPC codes").
    """
    u, v = np.divmod(np.arange(l * m), m)
    return ((u + monomial[0]) % l) * m + (v + monomial[1]) % m
