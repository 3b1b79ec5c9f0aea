"""Early stopping: compute the validation loss at intervals, keep the best weights, stop when it no longer falls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

#: Looks per training, and training shots between two of them at least: a look costs a validation.
_LOOKS = 10
_SHOTS_BETWEEN_LOOKS = 4096


def steps_between_looks(steps: int, batch_size: int, patience: int) -> int:
    """How many steps to make between two looks at the validation loss; half as many looks where none can stop training."""
    looks = _LOOKS if patience else _LOOKS // 2
    return max(-(-steps // looks), -(-_SHOTS_BETWEEN_LOOKS // batch_size))


class EarlyStopping:
    """The best weights so far, and whether to go on.

    Args:
        modules: What is trained.
        patience: Looks in a row without progress after which to stop; 0 for never.
        paired: What progress is. False: a lower loss than ever. True: a loss that is lower than at the last progress by more
            than the standard error of the difference, which is taken shot by shot; so neither the noise of a few shots nor a
            fall that no round could measure keeps training going.
    """

    def __init__(self, modules: torch.nn.Module, patience: int, *, paired: bool = False) -> None:
        self._modules, self._patience, self._paired = modules, patience, paired
        self._best, self._waited = inf, 0
        self._reference: np.ndarray | None = None
        self._weights: dict[str, torch.Tensor] = {}
        self.points: list[dict[str, float]] = []

    def look(self, step: int, loss: float, each: np.ndarray | None = None, *, may_stop: bool = True) -> bool:
        """Take note of a validation loss after so many steps, the first of which is finite; returns whether to stop.

        Args:
            step: Steps done.
            loss: The validation loss.
            each: What each validation shot contributes to it, float64 `[shots]`; only `paired` needs them.
            may_stop: Whether a look without progress counts. It does not while shots are drawn from another problem.
        """
        if isfinite(loss):
            self.points.append({"step": step, "loss": round(loss, 6)})
        lowest = loss < self._best
        progress = self._falls(each) if self._paired and each is not None else lowest
        self._waited = 0 if progress or not may_stop else self._waited + 1
        if progress:
            self._reference = each
        if lowest:
            self._best = loss
            self._weights = {name: value.detach().clone() for name, value in self._modules.state_dict().items()}
        return 0 < self._patience <= self._waited

    def _falls(self, each: np.ndarray) -> bool:
        """Whether the sum over shots is lower than at the last progress, by more than the standard error of the difference."""
        if self._reference is None:
            return True
        fall = self._reference - each
        return bool(fall.sum() > sqrt(len(fall)) * fall.std())

    @contextmanager
    def best_in_place(self) -> Iterator[float]:
        """Around a use of the best weights so far, in the middle of a training; tells their validation loss."""
        going_on = {name: value.detach().clone() for name, value in self._modules.state_dict().items()}
        yield self.restore()
        self._modules.load_state_dict(going_on)

    def restore(self) -> float:
        """Put the best weights back; returns their validation loss."""
        self._modules.load_state_dict(self._weights)
        return self._best
