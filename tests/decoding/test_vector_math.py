"""The polynomials against libm."""

import numpy as np
from numba import njit

from autoqec.decoding.vector_math import exp_negative, log_positive


@njit
def _both(x, y):
    e, g = np.empty_like(x), np.empty_like(y)
    for i in range(x.size):
        e[i] = exp_negative(x[i])
    for i in range(y.size):
        g[i] = log_positive(y[i])
    return e, g


def test_relative_error_is_that_of_single_precision():
    rng = np.random.default_rng(0)
    x = np.concatenate([-rng.uniform(0, 87, 20000), -np.logspace(-30, 1, 2000), [0.0, -87.0]]).astype(np.float32)
    y = np.exp(np.concatenate([rng.uniform(-80, 80, 20000), rng.uniform(-0.1, 0.1, 20000), [0.0]])).astype(np.float32)
    e, g = _both(x, y)
    np.testing.assert_allclose(e, np.exp(x.astype(np.float64)), rtol=1.5e-7)
    np.testing.assert_allclose(g, np.log(y.astype(np.float64)), rtol=1.5e-7, atol=1e-10)
