"""exp and log in single precision as straight-line code, so that the compiler can vectorise loops over them.

numba calls libm for one number at a time; these functions need a few instructions per eight or sixteen numbers. Polynomials
and range reduction are those of the Cephes library (S. L. Moshier, `expf` and `logf`). Relative error below 1.2e-7.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_F = np.float32
_I = np.int32

#: log(2) in two parts: the first has few bits, so that a small integer times it is exact.
_LN2_HIGH = _F(0.693359375)
_LN2_LOW = _F(-2.12194440e-4)
_LOG2_E = _F(1.4426950408889634)
_ROOT_HALF_BITS = _I(0x3F3504F3)


@njit(inline="always")
def exp_negative(x: np.float32) -> np.float32:
    """Compute exp(x) for x in [-87, 0], float32; outside that range the result is wrong, without an error."""
    exponent = _I(x * _LOG2_E - _F(0.5))  # x is not positive, so truncation towards zero rounds to nearest
    whole = _F(exponent)
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    p = _F(1.9875691500e-4)
    p = p * r + _F(1.3981999507e-3)
    p = p * r + _F(8.3334519073e-3)
    p = p * r + _F(4.1665795894e-2)
    p = p * r + _F(1.6666665459e-1)
    p = p * r + _F(5.0000001201e-1)
    p = p * (r * r) + r + _F(1.0)
    return p * _I((exponent + _I(127)) << _I(23)).view(np.float32)


@njit(inline="always")
def log_positive(x: np.float32) -> np.float32:
    """Compute log(x) for normal positive x, float32; for other x the result is wrong, without an error."""
    bits = _F(x).view(np.int32) - _ROOT_HALF_BITS
    exponent = bits >> _I(23)
    m = _I((bits & _I(0x007FFFFF)) + _ROOT_HALF_BITS).view(np.float32) - _F(1.0)
    square = m * m
    p = _F(7.0376836292e-2)
    p = p * m - _F(1.1514610310e-1)
    p = p * m + _F(1.1676998740e-1)
    p = p * m - _F(1.2420140846e-1)
    p = p * m + _F(1.4249322787e-1)
    p = p * m - _F(1.6668057665e-1)
    p = p * m + _F(2.0000714765e-1)
    p = p * m - _F(2.4999993993e-1)
    p = p * m + _F(3.3333331174e-1)
    p = p * m * square
    whole = _F(exponent)
    p = p + whole * _LN2_LOW
    p = p - _F(0.5) * square
    return m + p + whole * _LN2_HIGH
