"""Adam (Kingma and Ba, arXiv:1412.6980) under a cosine schedule (Loshchilov and Hutter, arXiv:1608.03983).

To the bit what torch.optim.Adam does to one tensor after the other, and the closed form of its CosineAnnealingLR. Those import
torch's compiler with their first step, though nothing here is compiled: more than a second of every round.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class CosineAdam:
    """Gradients in, parameters moved in place.

    Args:
        parameters: What is learned.
        rate: Learning rate of the first step.
        steps: Number of steps over which the rate falls to zero.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], rate: float, steps: int):
        self._parameters = list(parameters)
        self._rate, self._steps, self._step = rate, steps, 0
        self._moments: dict[int, tuple[torch.Tensor, torch.Tensor, int]] = {}

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return self._rate * (1 + cos(pi * self._step / self._steps)) / 2

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def skip(self) -> None:
        """Let a step pass whose gradients are of no use: the rate falls, nothing moves."""
        self._step += 1

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        import torch

        with torch.no_grad():
            for index, parameter in enumerate(self._parameters):
                if parameter.grad is not None:
                    self._move(index, parameter, parameter.grad)
        self._step += 1

    def _move(self, index: int, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        import torch

        mean, square, count = self._moments.get(index) or (torch.zeros_like(parameter), torch.zeros_like(parameter), 0)
        count += 1
        self._moments[index] = mean, square, count
        mean.lerp_(gradient, 1 - _BETA1)
        square.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        spread = (square.sqrt() / (1 - _BETA2**count) ** 0.5).add_(_EPSILON)
        parameter.addcdiv_(mean, spread, value=-self.rate / (1 - _BETA1**count))
