"""Normalisations of states and messages, `[rows, hidden, shots]`; only `batch` mixes shots, and only in training."""

from __future__ import annotations

import torch

_EPSILON = 1e-5


def normalised(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Normalise to mean 0 and variance 1 along a dimension."""
    centred = x - x.mean(dim=dim, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(dim=dim, keepdim=True) + _EPSILON)


class _Scaled(torch.nn.Module):
    """Normalisation over a row's features (Ba, Kiros and Hinton 2016), then a gain and a shift per feature."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(hidden, 1))
        self.shift = torch.nn.Parameter(torch.zeros(hidden, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return normalised(x, 1) * self.gain + self.shift


class _Graph(_Scaled):
    """GraphNorm (Cai et al., ICML 2021): over the nodes of a shot, after subtracting a learned fraction of the mean."""

    def __init__(self, hidden: int) -> None:
        super().__init__(hidden)
        self.share = torch.nn.Parameter(torch.ones(hidden, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centred = x - self.share * x.mean(dim=0, keepdim=True)
        scale = torch.rsqrt(centred.square().mean(dim=0, keepdim=True) + _EPSILON)
        return centred * scale * self.gain + self.shift


def of_states(name: str, hidden: int) -> torch.nn.Module:
    """Return the normalisation of a node's new state."""
    if name == "layer":
        return _Scaled(hidden)
    if name == "graph":
        return _Graph(hidden)
    if name == "batch":
        return torch.nn.BatchNorm1d(hidden)
    return torch.nn.Identity()


def of_messages(name: str, hidden: int) -> torch.nn.Module:
    """Return the normalisation of a message."""
    return _Scaled(hidden) if name == "edge" else torch.nn.Identity()
