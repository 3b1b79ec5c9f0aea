"""Weighs and names solutions that are given as mechanisms, for decoders that return these."""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.decoding.decoder_contract import Decoded, Solutions
from autoqec.problem.problem import Problem

#: FNV-1a, 64 bits.
_START, _FACTOR = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def weighed_corrections(problem: Problem, decoded: Decoded, fired: np.ndarray) -> Solutions:
    """Return one solution for each shot.

    Args:
        problem: What was decoded.
        decoded: The answers.
        fired: The mechanisms of each, bool `[shots, mechanisms]`.
    """
    shots = len(fired)
    weights, names = np.empty(shots, dtype=np.float32), np.empty(shots, dtype=np.uint64)
    _weigh(np.ascontiguousarray(fired), np.ascontiguousarray(problem.priors_llr), weights, names)
    weights[decoded.invalid] = np.inf
    nothing = np.zeros((shots, 1), dtype=np.float32)
    return Solutions(decoded.observables[:, None, :], weights[:, None], nothing, names[:, None])


@njit(cache=True, nogil=True)
def _weigh(fired: np.ndarray, llr: np.ndarray, weights: np.ndarray, names: np.ndarray) -> None:
    for shot in range(len(fired)):
        weight, name = 0.0, _START
        for mechanism in range(len(llr)):
            if fired[shot, mechanism]:
                weight += llr[mechanism]
                name = (name ^ np.uint64(mechanism)) * _FACTOR
        weights[shot], names[shot] = weight, name
