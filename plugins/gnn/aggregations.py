"""Aggregations of the messages to a node: from `[edges, hidden, shots]` to `[targets, hidden, shots]`.

| kind | aggregate |
|---|---|
| sum | sum, divided by the graph's mean degree for a suitable initial scale |
| mean, max | of the messages; zero for a node without edges |
| gated_sum | sum of message ⊙ sigmoid(G message), divided by the mean degree (Li et al., ICLR 2016) |
| attention_pool | mean weighted by a learned score of each message |
| set_transformer | messages attend to two summaries of their set, then attention pools them (Lee et al., ICML 2019) |
"""

from __future__ import annotations

import math

import torch

from autoqec.candidate.blocks import Linear, segment_max, segment_softmax, segment_sum

from .wiring import Wiring

#: Induced points of the set transformer; with a fixed number, a set of n messages costs n steps instead of n².
_SUMMARIES = 2


class _Sum(torch.nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()

    def forward(self, wiring: Wiring, messages: torch.Tensor) -> torch.Tensor:
        mean_degree = max(1.0, len(messages) / wiring.targets)
        return segment_sum(messages, wiring.target, wiring.targets) * (1.0 / mean_degree)


class _Mean(_Sum):
    def forward(self, wiring: Wiring, messages: torch.Tensor) -> torch.Tensor:
        degree = torch.bincount(wiring.target, minlength=wiring.targets).clamp(min=1)
        total = segment_sum(messages, wiring.target, wiring.targets)
        return total * (1.0 / degree.to(total.dtype))[:, None, None]


class _Max(_Sum):
    def forward(self, wiring: Wiring, messages: torch.Tensor) -> torch.Tensor:
        return segment_max(messages, wiring.target, wiring.targets)


class _GatedSum(_Sum):
    def __init__(self, hidden: int) -> None:
        super().__init__(hidden)
        self.gate = Linear(hidden, hidden)

    def forward(self, wiring: Wiring, messages: torch.Tensor) -> torch.Tensor:
        return super().forward(wiring, messages * torch.sigmoid(self.gate(messages)))


class _AttentionPool(torch.nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.score = Linear(hidden, 1, bias=False)

    def forward(self, wiring: Wiring, messages: torch.Tensor) -> torch.Tensor:
        weights = segment_softmax(self.score(messages), wiring.target, wiring.targets)
        return segment_sum(weights * messages, wiring.target, wiring.targets)


class _SetTransformer(torch.nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.score = Linear(hidden, _SUMMARIES, bias=False)
        self.query = Linear(hidden, hidden)
        self.pool = _AttentionPool(hidden)
        self._scale = 1.0 / math.sqrt(hidden)

    def forward(self, wiring: Wiring, messages: torch.Tensor) -> torch.Tensor:
        weights = segment_softmax(self.score(messages), wiring.target, wiring.targets)
        queries = self.query(messages)
        summaries, likes = [], []
        for i in range(_SUMMARIES):
            summary = segment_sum(weights[:, i : i + 1] * messages, wiring.target, wiring.targets)
            summaries.append(summary.index_select(0, wiring.target))
            likes.append((queries * summaries[-1]).sum(dim=1, keepdim=True) * self._scale)
        attention = torch.softmax(torch.cat(likes, dim=1), dim=1)
        seen = sum((attention[:, i : i + 1] * summary for i, summary in enumerate(summaries)), start=messages)
        pooled: torch.Tensor = self.pool(wiring, seen)
        return pooled


#: Constructors take `(hidden,)`.
AGGREGATIONS: dict[str, type[torch.nn.Module]] = {
    "sum": _Sum,
    "mean": _Mean,
    "max": _Max,
    "attention_pool": _AttentionPool,
    "set_transformer": _SetTransformer,
    "gated_sum": _GatedSum,
}
