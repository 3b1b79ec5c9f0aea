"""The first half of a sum-product message, for many shots in parallel: what belief propagation with and without learning share.

Shots are lanes of vector instructions. A probability is stored as the smaller of p and 1 - p, with a sign for the side, which is
accurate at both ends. `autoqec_plugins.neural_bp.kernels` says what the vectorisation of such loops depends on.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.decoding.vector_math import exp_negative
from autoqec.problem.dem import LLR_BOUND

#: Shots in parallel: four vectors of 512 bits. With half as many, the overhead of loops doubles the time; with twice as many,
#: there is no gain and the data exceed the caches.
LANES = 64

ONE, TWO, BOUND = np.float32(1.0), np.float32(2.0), np.float32(LLR_BOUND)

#: error_model="numpy": a division that may raise is not vectorised.
compiled = njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")


@compiled
def gather(
    first: int,
    degree: int,
    mechanism: np.ndarray,
    total: np.ndarray,
    message: np.ndarray,
    work: np.ndarray,
    run: np.ndarray,
) -> None:
    """Gather the inputs of one detector as signed smaller probabilities, the running product before each, and the total sign.

    Args:
        first, degree: The detector's incidences are `first … first + degree - 1`.
        mechanism: Mechanism of each incidence, int32.
        total: Belief about each mechanism, float32 `[mechanisms, LANES]`.
        message: The last message of each incidence, float32 `[incidences, LANES]`.
        work: Written: of each input its own probability, then the running product before it, float32 `[degree, 2 LANES or more]`.
        run: Read and written: the running product, then the sign, float32 `[2 LANES or more]`.
    """
    for k in range(degree):
        sums, mine, own = total[mechanism[first + k]], message[first + k], work[k]
        for lane in range(LANES):
            x = min(max(sums[lane] - mine[lane], -BOUND), BOUND)
            e = exp_negative(-abs(x))
            q = e / (ONE + e)
            before = run[lane]
            own[lane] = np.copysign(q, x)
            own[LANES + lane] = before
            run[lane] = before + q * (ONE - TWO * before)
            run[LANES + lane] = run[LANES + lane] * np.copysign(ONE, x)
