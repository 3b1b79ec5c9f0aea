"""Message functions of source s, target t and edge e; each returns `[edges, hidden, shots]`.

An MLP has no outer layer per message, because the update of the target after the aggregation is one.

| kind | message |
|---|---|
| mlp | relu(A s + B t + C e) (Gilmer et al., ICML 2017) |
| gated_mlp | value ⊙ sigmoid(gate), both linear in s, t, e (Dauphin et al., ICML 2017) |
| residual_mlp | V s + W relu(A s + B t + C e) |
| normalized_mlp | relu of the pre-activation, normalised over features to mean 0 and variance 1 |
| gru_cell | a GRU (Cho et al., EMNLP 2014) whose state is the target's and whose input is source and edge |
| attention | V s, weighted among a target's messages by a·leaky_relu(A s + B t) (Brody et al., ICLR 2022) |
| edge_attention | the same, but weight and value also see the edge |
| geometric_attention | V s, weighted by (A s)·(B t) minus a learned positive factor times distance |
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from autoqec.candidate.blocks import Linear, segment_softmax

from .normalisations import normalised
from .wiring import EdgeLinear, Wiring


class _MLP(torch.nn.Module):
    def __init__(self, hidden: int, edge: int, bit: bool) -> None:
        super().__init__()
        self.inner = EdgeLinear(hidden, hidden, edge, bit)

    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.inner(wiring, source, target))


class _NormalizedMLP(_MLP):
    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.relu(normalised(self.inner(wiring, source, target), 1))


class _ResidualMLP(_MLP):
    def __init__(self, hidden: int, edge: int, bit: bool) -> None:
        super().__init__(hidden, edge, bit)
        self.value, self.outer = Linear(hidden, hidden), Linear(hidden, hidden)

    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        inner = super().forward(wiring, source, target)
        return self.value(source).index_select(0, wiring.source) + self.outer(inner)


class _GatedMLP(torch.nn.Module):
    def __init__(self, hidden: int, edge: int, bit: bool) -> None:
        super().__init__()
        self.inner = EdgeLinear(hidden, 2 * hidden, edge, bit)

    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value, gate = self.inner(wiring, source, target).chunk(2, dim=1)
        return value * torch.sigmoid(gate)


class _GRUCell(torch.nn.Module):
    def __init__(self, hidden: int, edge: int, bit: bool) -> None:
        super().__init__()
        self.gates = EdgeLinear(hidden, 2 * hidden, edge, bit)
        self.heard = EdgeLinear(hidden, hidden, edge, bit, target=False)
        self.known = Linear(hidden, hidden)

    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        reset, keep = torch.sigmoid(self.gates(wiring, source, target)).chunk(2, dim=1)
        known = self.known(target).index_select(0, wiring.target)
        new = torch.tanh(self.heard(wiring, source, target) + reset * known)
        return new + keep * (target.index_select(0, wiring.target) - new)


class _Attention(torch.nn.Module):
    def __init__(self, hidden: int, edge: int, bit: bool) -> None:
        super().__init__()
        self.pair = EdgeLinear(hidden, hidden, 0, False)
        self.score = Linear(hidden, 1, bias=False)
        self.value = EdgeLinear(hidden, hidden, 0, False, target=False)

    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        scores = self.score(functional.leaky_relu(self.pair(wiring, source, target), 0.2))
        return self.value(wiring, source, target) * segment_softmax(scores, wiring.target, wiring.targets)


class _EdgeAttention(_Attention):
    def __init__(self, hidden: int, edge: int, bit: bool) -> None:
        super().__init__(hidden, edge, bit)
        self.pair = EdgeLinear(hidden, hidden, edge, bit)
        self.value = EdgeLinear(hidden, hidden, edge, bit, target=False)


class _GeometricAttention(torch.nn.Module):
    def __init__(self, hidden: int, edge: int, bit: bool) -> None:
        super().__init__()
        self.query, self.key = Linear(hidden, hidden), Linear(hidden, hidden)
        self.value = EdgeLinear(hidden, hidden, 0, False, target=False)
        self.decay = torch.nn.Parameter(torch.zeros(1))
        self._scale = 1.0 / math.sqrt(hidden)

    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        query = self.query(target).index_select(0, wiring.target)
        key = self.key(source).index_select(0, wiring.source)
        scores = (query * key).sum(dim=1, keepdim=True) * self._scale
        scores = scores - functional.softplus(self.decay) * wiring.distance
        return self.value(wiring, source, target) * segment_softmax(scores, wiring.target, wiring.targets)


#: Constructors take `(hidden, number of fixed edge features, whether the message sees the syndrome bit)`.
MESSAGES: dict[str, type[torch.nn.Module]] = {
    "mlp": _MLP,
    "gated_mlp": _GatedMLP,
    "attention": _Attention,
    "gru_cell": _GRUCell,
    "edge_attention": _EdgeAttention,
    "geometric_attention": _GeometricAttention,
    "residual_mlp": _ResidualMLP,
    "normalized_mlp": _NormalizedMLP,
}
