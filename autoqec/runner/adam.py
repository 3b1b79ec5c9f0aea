"""Adam with a cosine schedule, by torch's own function for the step.

`torch.optim.Adam` does the same, but it imports torch's compiler. That costs two processor seconds in every training, and two
hundred more modules that must be loaded before a process is locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi

import torch
from torch.optim.adam import adam


class CosineAdam:
    """Adam (Kingma and Ba 2015) whose rate falls to zero along half a cosine (Loshchilov and Hutter 2017).

    Args:
        parameters: What is learned.
        learning_rate: Where the learning rate begins.
        steps: When it has become zero.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], learning_rate: float, steps: int):
        self._parameters = list(parameters)
        self._rate, self._steps, self._done = learning_rate, steps, 0
        self._mean = [torch.zeros_like(p) for p in self._parameters]
        self._square = [torch.zeros_like(p) for p in self._parameters]
        self._count = [torch.zeros((), dtype=torch.float32) for _ in self._parameters]

    def end_after(self, steps: int) -> None:
        """Let the learning rate become zero after so many steps, instead of those planned first."""
        self._steps = steps

    def forget_gradients(self) -> None:
        """Before a backward pass."""
        for parameter in self._parameters:
            parameter.grad = None

    def step(self, *, usable: bool) -> None:
        """Take one step along the gradients, unless they are not finite; the schedule advances either way."""
        moved = [i for i, parameter in enumerate(self._parameters) if usable and parameter.grad is not None]
        rate = self._rate * (1 + cos(pi * self._done / self._steps)) / 2
        self._done += 1
        if not moved:
            return
        with torch.no_grad():
            adam(
                [self._parameters[i] for i in moved],
                [self._parameters[i].grad for i in moved],  # type: ignore[misc]
                [self._mean[i] for i in moved],
                [self._square[i] for i in moved],
                [],
                [self._count[i] for i in moved],
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )
