"""What learned stages are built of, batch last: values are `[rows, features, shots]`, rows being detectors, mechanisms or edges.

Gathers and scatters then move whole rows, every operation runs along the shots, and the numbers of a shot are computed in
the same order wherever in a batch it is.
"""

from __future__ import annotations

import math

import torch

from autoqec.problem.dem import LLR_BOUND


class Linear(torch.nn.Module):
    """`weight @ x + bias` on features: `[rows, inputs, shots]` to `[rows, outputs, shots]`.

    Args:
        inputs, outputs: Numbers of features.
        bias: Whether there is one.
        zero: Start at zero, as the last layer of a head does, so that the untrained stage changes nothing.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else 1.0 / math.sqrt(inputs)
        self.weight = torch.nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.bias = torch.nn.Parameter(torch.zeros(outputs, 1)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        product = torch.matmul(self.weight, x)
        return product if self.bias is None else product + self.bias


class Head(torch.nn.Module):
    """From features of mechanisms to corrections of their beliefs, `[mechanisms, shots]`; all zero until trained.

    Args:
        kind: `linear`, or `mlp` with one hidden layer as wide as the input.
        inputs: Number of features.
    """

    def __init__(self, kind: str, inputs: int) -> None:
        super().__init__()
        self.hidden = Linear(inputs, inputs) if kind == "mlp" else None
        self.last = Linear(inputs, 1, zero=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.hidden is not None:
            x = torch.relu(self.hidden(x))
        correction: torch.Tensor = self.last(x).squeeze(1)
        return correction


def belief_features(beliefs: torch.Tensor) -> torch.Tensor:
    """Beliefs as a network likes them: the log-odds, scaled to about 1, and `1 - 2p`, which tells the unsure apart.

    Args:
        beliefs: Log-odds of not firing, `[mechanisms, shots]`.

    Returns:
        `[mechanisms, 2, shots]`.
    """
    return torch.stack([beliefs * (8.0 / LLR_BOUND), torch.tanh(beliefs * 0.5)], dim=1)


def segment_sum(values: torch.Tensor, segment: torch.Tensor, segments: int) -> torch.Tensor:
    """Add up rows by segment: `[rows, …]` to `[segments, …]`."""
    return values.new_zeros(segments, *values.shape[1:]).index_add(0, segment, values)


def segment_max(values: torch.Tensor, segment: torch.Tensor, segments: int) -> torch.Tensor:
    """The largest of each segment's rows; 0 where it has none."""
    lowest = values.new_zeros(segments, *values.shape[1:])
    return lowest.index_reduce(0, segment, values, "amax", include_self=False)


def segment_softmax(scores: torch.Tensor, segment: torch.Tensor, segments: int) -> torch.Tensor:
    """Scores to weights that add up to 1 within each segment, `[rows, …]`."""
    with torch.no_grad():  # Any shift gives the same weights; the largest keeps the exponentials from overflowing.
        largest = segment_max(scores, segment, segments)
    weights = (scores - largest.index_select(0, segment)).exp()
    return weights / segment_sum(weights, segment, segments).index_select(0, segment)
