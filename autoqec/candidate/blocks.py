"""Building blocks of learned stages. Values are `[rows, features, shots]`; rows are detectors, mechanisms or edges.

With the batch last, gathers and scatters move whole rows, every operation runs along the shots, and the results of a shot do
not depend on its position in the batch.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch.nn import functional

from autoqec.problem.dem import LLR_BOUND

#: Slope of a leaky ReLU below zero. With eight features, a plain ReLU can be dead in all of them and stop learning.
LEAK = 0.1


class Linear(torch.nn.Module):
    """`weight @ x + bias` on features: `[rows, inputs, shots]` to `[rows, outputs, shots]`.

    Args:
        inputs, outputs: Numbers of features.
        bias: Whether to add a bias.
        zero: Initialise with zeros, as in the last layer of a head, so that the untrained stage changes nothing.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else 1.0 / math.sqrt(inputs)
        self.weight = torch.nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.bias = torch.nn.Parameter(torch.zeros(outputs, 1)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        # One product per row: `matmul` would merge rows and shots, with two copies of everything.
        product = torch.bmm(self.weight.expand(len(x), -1, -1), x)
        return product if self.bias is None else product + self.bias


class Head(torch.nn.Module):
    """Maps features of mechanisms to corrections of their beliefs, `[mechanisms, shots]`; all zero until trained.

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
    """Return beliefs as network inputs: the log-odds, scaled to about 1, and `1 - 2p`, which resolves values near 0.

    Args:
        beliefs: Log-odds of not firing, `[mechanisms, shots]`.

    Returns:
        `[mechanisms, 2, shots]`.
    """
    return torch.stack([beliefs * (8.0 / LLR_BOUND), torch.tanh(beliefs * 0.5)], dim=1)


def segment_sum(values: torch.Tensor, segment: torch.Tensor, segments: int) -> torch.Tensor:
    """Sum rows by segment: `[rows, …]` to `[segments, …]`."""
    return values.new_zeros(segments, *values.shape[1:]).index_add(0, segment, values)


def segment_max(values: torch.Tensor, segment: torch.Tensor, segments: int) -> torch.Tensor:
    """Return the maximum of each segment's rows; 0 for an empty segment."""
    lowest = values.new_zeros(segments, *values.shape[1:])
    index = segment.view(-1, *[1] * (values.dim() - 1)).expand_as(values)
    return lowest.scatter_reduce(0, index, values, "amax", include_self=False)


def segment_softmax(scores: torch.Tensor, segment: torch.Tensor, segments: int) -> torch.Tensor:
    """Softmax within each segment: weights that sum to 1, `[rows, …]`."""
    with torch.no_grad():  # Any shift gives the same weights; shifting by the maximum avoids overflow.
        largest = segment_max(scores, segment, segments)
    weights = (scores - largest.index_select(0, segment)).exp()
    return weights / segment_sum(weights, segment, segments).index_select(0, segment)


class DetectorInput(torch.nn.Module):
    """Input of a network over detectors, `[detectors, 2, shots]`: the bit as ±1, and the expected number of errors there.

    Args:
        mechanism, detector: The ends of each incidence.
        detectors: Number of detectors.
    """

    def __init__(self, mechanism: torch.Tensor, detector: torch.Tensor, detectors: int) -> None:
        super().__init__()
        self.register_buffer("_mechanism", mechanism, persistent=False)
        self.register_buffer("_detector", detector, persistent=False)
        self._detectors = detectors

    def forward(self, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
        """Compute the input from syndromes `[shots, detectors]` and beliefs `[shots, mechanisms]`."""
        chances = torch.sigmoid(-beliefs.T).index_select(0, cast(torch.Tensor, self._mechanism))
        expected = segment_sum(chances, cast(torch.Tensor, self._detector), self._detectors)
        return torch.stack([2 * syndromes.T - 1, expected], dim=1)


class DetectorReadout(torch.nn.Module):
    """Maps features of detectors to corrections of beliefs, `[mechanisms, shots]`; all zero until trained.

    Every incidence has its own weights, because a feature of a detector means something different to each mechanism.

    Args:
        kind: `linear`: the weighted sum over a mechanism's detectors. `mlp`: the same per feature, then a ReLU and a
            linear layer that all mechanisms share.
        inputs: Features of a detector.
        mechanism, detector: The ends of each incidence.
        mechanisms: Number of mechanisms.
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
        """Compute the corrections from features `[detectors, inputs, shots]`."""
        weighted = features.index_select(0, cast(torch.Tensor, self._detector)) * self.weight
        if self.last is None:
            weighted = weighted.sum(dim=1, keepdim=True)
        total = segment_sum(weighted, cast(torch.Tensor, self._mechanism), self._mechanisms) + self.bias
        correction: torch.Tensor = (total if self.last is None else self.last(torch.relu(total))).squeeze(1)
        return correction
