"""Converts beliefs about mechanisms to log-odds of matching edges, the step between belief propagation and matching.

An edge is flipped if an odd number of the mechanisms that contain it fired. If these are independent given the syndrome, its
probability is `(1 - Π(1 - 2 p_m)) / 2`. Criger and Ashraf (Quantum 2, 102) and Higgott et al. (Phys. Rev. X 13, 031007,
"belief-matching") match on posteriors in this way; the latter sum the probabilities, which is the formula to first order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from autoqec.decoding.vector_math import exp_negative, log_positive
from autoqec.problem.dem import LLR_BOUND, Edges

_BOUND = np.float32(LLR_BOUND)

#: The probability at the bound; without it, an edge whose uses all cancel would have probability 0.
_SMALLEST = np.float32(np.exp(-LLR_BOUND))


@dataclass(frozen=True)
class EdgeUses:
    """The mechanisms of each edge: the inverse of the map in `Edges`.

    Attributes:
        mechanism: Mechanisms of all edges, concatenated, int32 `[uses]`.
        start: Mechanisms of edge e are `mechanism[start[e]:start[e + 1]]`, int32 `[edges + 1]`.
    """

    mechanism: np.ndarray
    start: np.ndarray


def edge_uses(edges: Edges) -> EdgeUses:
    """Invert mechanism → edges into edge → mechanisms; an edge that occurs twice in one mechanism cancels."""
    mechanisms = len(edges.start) - 1
    owner = np.repeat(np.arange(mechanisms, dtype=np.int64), np.diff(edges.start))
    pairs, count = np.unique(edges.of_mechanism.astype(np.int64) * mechanisms + owner, return_counts=True)
    edge, mechanism = np.divmod(pairs[count % 2 == 1], mechanisms)
    start = np.concatenate([[0], np.cumsum(np.bincount(edge, minlength=len(edges)))])
    return EdgeUses(mechanism=mechanism.astype(np.int32), start=start.astype(np.int32))


def edge_log_odds(beliefs: np.ndarray, uses: EdgeUses) -> np.ndarray:
    """Compute the log-odds `log((1 - p) / p)` that each edge is not flipped.

    Args:
        beliefs: Log-likelihood ratios per mechanism, C-contiguous float32 `[shots, mechanisms]`, finite; this function
            clips them to ±`LLR_BOUND`.
        uses: The mechanisms of each edge.

    Returns:
        float32 `[shots, edges]`, within ±`LLR_BOUND`; the error is about 1e-6 times max(1, |log-odds|).
    """
    log_odds = np.empty((len(beliefs), len(uses.start) - 1), dtype=np.float32)
    _edge_log_odds(beliefs, uses.mechanism, uses.start, log_odds)
    return log_odds


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _edge_log_odds(beliefs: np.ndarray, mechanism: np.ndarray, start: np.ndarray, out: np.ndarray) -> None:
    # Each probability is stored as the smaller of p and 1 - p, with a sign for the side: then neither end loses digits,
    # whereas 1 - 2p loses everything below 6e-8. error_model="numpy": a division that may raise is not vectorised.
    one, two = np.float32(1.0), np.float32(2.0)
    shots, mechanisms = beliefs.shape
    edges = len(start) - 1
    smaller = np.empty(mechanisms, dtype=np.float32)
    side = np.empty(edges, dtype=np.float32)
    joint = np.empty(edges, dtype=np.float32)
    for shot in range(shots):
        llr = beliefs[shot]
        for m in range(mechanisms):
            e = exp_negative(-min(abs(llr[m]), _BOUND))
            smaller[m] = np.copysign(e / (one + e), llr[m])
        for edge in range(edges):
            q = np.float32(0.0)
            sign = one
            for use in range(start[edge], start[edge + 1]):
                other = smaller[mechanism[use]]
                sign = np.copysign(sign, sign * other)
                other = abs(other)
                q = q + other * (one - two * q)
            joint[edge] = q
            side[edge] = sign
        row = out[shot]
        for edge in range(edges):
            q = max(joint[edge], _SMALLEST)
            row[edge] = side[edge] * log_positive((one - q) / q)


def edge_log_odds_gradient(
    beliefs: np.ndarray, log_odds: np.ndarray, by_log_odds: np.ndarray, uses: EdgeUses
) -> np.ndarray:
    """Propagate a gradient from edges back to mechanisms.

    With `t = tanh(llr / 2)`, the log-odds of an edge are `2 atanh(product of t over its mechanisms)`.

    Args:
        beliefs: The input of `edge_log_odds`.
        log_odds: The output of `edge_log_odds`.
        by_log_odds: Derivative of a loss with respect to `log_odds`, float32 `[shots, edges]`; most are zero.
        uses: The mechanisms of each edge.

    Returns:
        Derivative of the loss with respect to `beliefs`, float32 `[shots, mechanisms]`.
    """
    by_beliefs = np.zeros_like(beliefs)
    _edge_log_odds_gradient(beliefs, log_odds, by_log_odds, uses.mechanism, uses.start, by_beliefs)
    return by_beliefs


@njit(nogil=True, inline="always")
def _steepness(llr: np.float32) -> np.float32:
    """Compute `1 - tanh(llr / 2)^2` without losing digits where the tanh is almost 1."""
    e = np.exp(-min(abs(llr), _BOUND))
    return np.float32(4.0) * e / ((np.float32(1.0) + e) * (np.float32(1.0) + e))


@njit(cache=True, nogil=True)
def _edge_log_odds_gradient(
    beliefs: np.ndarray,
    log_odds: np.ndarray,
    by_log_odds: np.ndarray,
    mechanism: np.ndarray,
    start: np.ndarray,
    out: np.ndarray,
) -> None:
    for shot in range(len(beliefs)):
        llr = beliefs[shot]
        for edge in range(len(start) - 1):
            if by_log_odds[shot, edge] == 0:
                continue
            factor = by_log_odds[shot, edge] / _steepness(log_odds[shot, edge])
            for use in range(start[edge], start[edge + 1]):
                others = np.float32(1.0)
                for other in range(start[edge], start[edge + 1]):
                    if other != use:
                        others *= np.tanh(llr[mechanism[other]] * np.float32(0.5))
                out[shot, mechanism[use]] += factor * others * _steepness(llr[mechanism[use]])
