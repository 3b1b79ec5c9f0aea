"""Early stopping: compute the validation loss at intervals, keep the best weights, stop when it no longer falls."""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING

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
        patience: Looks in a row without a lower loss after which to stop; 0 for never.
    """

    def __init__(self, modules: torch.nn.Module, patience: int) -> None:
        self._modules, self._patience = modules, patience
        self._best, self._waited = inf, 0
        self._weights: dict[str, torch.Tensor] = {}
        self.points: list[dict[str, float]] = []

    def look(self, step: int, loss: float) -> bool:
        """Take note of a validation loss after so many steps, the first of which is finite; returns whether to stop."""
        if isfinite(loss):
            self.points.append({"step": step, "loss": round(loss, 6)})
        if loss < self._best:
            self._best, self._waited = loss, 0
            self._weights = {name: value.detach().clone() for name, value in self._modules.state_dict().items()}
            return False
        self._waited += 1
        return 0 < self._patience <= self._waited

    def restore(self) -> float:
        """Put the best weights back; returns their validation loss."""
        self._modules.load_state_dict(self._weights)
        return self._best
