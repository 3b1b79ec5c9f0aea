"""What learned stages are built of, batch last: values are `[rows, features, shots]`, rows being detectors, mechanisms or edges.

Gathers and scatters then move whole rows, every operation runs along the shots, and the numbers of a shot are computed in
the same order wherever in a batch it is.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch.nn import functional

from autoqec.problem.dem import LLR_BOUND

#: Slope of a leaky ReLU below zero: with eight features, a plain one can be dead in all of them and never learn again.
LEAK = 0.1


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
        # One product per row: `matmul` would fold rows and shots together, and copy everything twice to do so.
        product = torch.bmm(self.weight.expand(len(x), -1, -1), x)
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
            x = functional.leaky_relu(self.hidden(x), LEAK)
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
    index = segment.view(-1, *[1] * (values.dim() - 1)).expand_as(values)
    return lowest.scatter_reduce(0, index, values, "amax", include_self=False)


def segment_softmax(scores: torch.Tensor, segment: torch.Tensor, segments: int) -> torch.Tensor:
    """Scores to weights that add up to 1 within each segment, `[rows, …]`."""
    with torch.no_grad():  # Any shift gives the same weights; the largest keeps the exponentials from overflowing.
        largest = segment_max(scores, segment, segments)
    weights = (scores - largest.index_select(0, segment)).exp()
    return weights / segment_sum(weights, segment, segments).index_select(0, segment)


class DetectorInput(torch.nn.Module):
    """What a network over detectors sees: `[detectors, 2, shots]`, the bit as ±1 and how many errors the beliefs expect there.

    Args:
        mechanism, detector: The ends of each incidence.
        detectors: How many there are.
    """

    def __init__(self, mechanism: torch.Tensor, detector: torch.Tensor, detectors: int) -> None:
        super().__init__()
        self.register_buffer("_mechanism", mechanism, persistent=False)
        self.register_buffer("_detector", detector, persistent=False)
        self._detectors = detectors

    def forward(self, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
        """From syndromes `[shots, detectors]` and beliefs `[shots, mechanisms]`."""
        chances = torch.sigmoid(-beliefs.T).index_select(0, cast(torch.Tensor, self._mechanism))
        expected = segment_sum(chances, cast(torch.Tensor, self._detector), self._detectors)
        return torch.stack([2 * syndromes.T - 1, expected], dim=1)


class DetectorReadout(torch.nn.Module):
    """From features of detectors to corrections of beliefs, `[mechanisms, shots]`; all zero until trained.

    Every incidence has weights of its own, because the same feature of a detector means another thing to each mechanism.

    Args:
        kind: `linear`: the weighted sum over a mechanism's detectors. `mlp`: that, feature by feature, then a ReLU and a
            linear layer that all mechanisms share.
        inputs: Features of a detector.
        mechanism, detector: The ends of each incidence.
        mechanisms: How many there are.
    """

    def __init__(
        self, kind: str, inputs: int, mechanism: torch.Tensor, detector: torch.Tensor, mechanisms: int
    ) -> None:
        super().__init__()
        self.register_buffer("_mechanism", mechanism, persistent=False)
        self.register_buffer("_detector", detector, persistent=False)
        self._mechanisms = mechanisms
        bound = 1.0 if kind == "mlp" else 0.0
        self.weight = torch.nn.Parameter(torch.empty(len(mechanism), inputs, 1).uniform_(-bound, bound))
        self.bias = torch.nn.Parameter(torch.zeros(mechanisms, inputs if kind == "mlp" else 1, 1))
        self.last = Linear(inputs, 1, zero=True) if kind == "mlp" else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """From `[detectors, inputs, shots]`."""
        weighted = features.index_select(0, cast(torch.Tensor, self._detector)) * self.weight
        if self.last is None:
            weighted = weighted.sum(dim=1, keepdim=True)
        total = segment_sum(weighted, cast(torch.Tensor, self._mechanism), self._mechanisms) + self.bias
        correction: torch.Tensor = (total if self.last is None else self.last(torch.relu(total))).squeeze(1)
        return correction
