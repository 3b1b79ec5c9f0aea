"""Logical error rates per shot, per round and per logical observable.

Rounds flip independently of each other, and an even number of flips is none: with e the rate of one round, r rounds have the rate
`(1 - (1 - 2 e) ** r) / 2` for one observable. Observables fail independently of each other, and a shot fails with any of them.
Both are approximations that the field uses, and sinter's (`shot_error_rate_to_piece_error_rate`).
"""

from __future__ import annotations

from math import expm1, log1p
from typing import Literal

#: What a rate may be per: a shot, a round (any observable), or a logical observable (all rounds).
Per = Literal["shot", "round", "logical"]

#: The rate of an outcome that says nothing about an observable.
_CHANCE = 0.5


def rate_per(rate: float, per: Per, rounds: int, observables: int) -> float:
    """Convert a logical error rate per shot.

    Args:
        rate: Per shot, any observable.
        per: What for.
        rounds: Rounds of a shot.
        observables: Logical observables of a shot.

    Returns:
        The rate; 1/2 for each observable where it fails in more than half of the shots.
    """
    if per == "shot":
        return rate
    one = min(_any_to_one(rate, observables), _CHANCE)
    return one if per == "logical" else _one_to_any(_times(one, 1 / rounds), observables)


def shot_rate(rate: float, rounds: int, observables: int) -> float:
    """The rate per shot of a rate per round: the inverse of `rate_per(…, "round", …)`."""
    return _one_to_any(_times(_any_to_one(rate, observables), rounds), observables)


def shot_slope(rate: float, rounds: int, observables: int) -> float:
    """The derivative of `shot_rate` by the rate per round."""
    one = min(_any_to_one(rate, observables), _CHANCE)
    inner = (1 - rate) ** (1 / observables - 1) / observables
    outer = observables * (1 - _times(one, rounds)) ** (observables - 1)
    return float(inner * rounds * (1 - 2 * one) ** (rounds - 1) * outer)


def _times(one: float, rounds: float) -> float:
    """The rate of an odd number of flips in so many rounds: `(1 - (1 - 2 e) ** r) / 2`, exact for small rates too."""
    return -expm1(rounds * log1p(-2 * one)) / 2 if one < _CHANCE else _CHANCE


def _any_to_one(rate: float, observables: int) -> float:
    return rate if observables == 1 or rate >= 1 else -expm1(log1p(-rate) / observables)


def _one_to_any(rate: float, observables: int) -> float:
    return rate if observables == 1 else -expm1(observables * log1p(-rate))
