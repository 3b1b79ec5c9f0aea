"""The bets of the e-process, equally weighted; they are never tuned to data."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

#: 24 points from 0.004 to 0.9, evenly spaced in the logarithm.
BETS = tuple(0.004 * (0.9 / 0.004) ** (i / 23) for i in range(24))


def log_mean_exp(logs: Sequence[float]) -> float:
    """The log of the mean of some numbers, given their logs."""
    top = max(logs)
    return top + log(sum(exp(each - top) for each in logs) / len(logs))
