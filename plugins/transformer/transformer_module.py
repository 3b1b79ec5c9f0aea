"""The transformer in torch: one token per detector, attention within a shot."""

from __future__ import annotations

import math

import torch

from autoqec.candidate.blocks import DetectorInput, DetectorReadout
from autoqec.errors import UsageError
from autoqec.problem.geometry import find_geometry
from autoqec.problem.problem import Problem

from .transformer_config import TransformerConfig

#: Maximum number of tokens; their attention weights take 4 MiB per shot and head.
MAX_DETECTORS = 1024


class _Layer(torch.nn.Module):
    """Attention and a feed-forward network, each on normalised input and added to it; `[shots, detectors, width]`."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.before_attention, self.before_feed_forward = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.query_key_value, self.mixed = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.inner = torch.nn.Linear(width, config.feed_forward * width)
        self.outer = torch.nn.Linear(config.feed_forward * width, width)
        self._heads, self._scale = config.heads, 1.0 / math.sqrt(width / config.heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shots, tokens, width = x.shape
        split = self.query_key_value(self.before_attention(x)).view(shots, tokens, 3, self._heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        # Written out rather than fused: the products are then counted like any other.
        weights = torch.softmax((query * self._scale) @ key.transpose(-1, -2), dim=-1)
        x = x + self.mixed((weights @ value).transpose(1, 2).reshape(shots, tokens, width))
        refined: torch.Tensor = x + self.outer(torch.relu(self.inner(self.before_feed_forward(x))))
        return refined


class TransformerModule(torch.nn.Module):
    """See `TransformerConfig`. Each detector has a learned position embedding, so the stage needs no coordinates."""

    def __init__(self, config: TransformerConfig, problem: Problem) -> None:
        super().__init__()
        if problem.num_detectors > MAX_DETECTORS:
            raise UsageError(
                f"transformer: {problem.name} has {problem.num_detectors} detectors; at most {MAX_DETECTORS} can attend"
                " to each other",
                hint="use kind: gnn, whose cost grows with the number of incidences",
            )
        geometry = find_geometry(problem)
        mechanism, detector = torch.from_numpy(geometry.mechanism), torch.from_numpy(geometry.detector)
        self._input = DetectorInput(mechanism, detector, problem.num_detectors)
        self.embed = torch.nn.Linear(2, config.width)
        self.place = torch.nn.Parameter(0.5 * torch.randn(problem.num_detectors, config.width))
        self.layers = torch.nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.head = DetectorReadout(config.head, config.width, mechanism, detector, len(problem.mechanisms))

    def forward(self, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
        """Refine beliefs.

        Args:
            syndromes: 0 or 1, float32 `[shots, detectors]`.
            beliefs: Log-likelihood ratios, float32 `[shots, mechanisms]`.

        Returns:
            Beliefs, `[shots, mechanisms]`; equal to the input until the head is trained.
        """
        tokens = self.embed(self._input(syndromes, beliefs).permute(2, 0, 1)) + self.place
        for layer in self.layers:
            tokens = layer(tokens)
        refined: torch.Tensor = beliefs + self.head(tokens.permute(1, 2, 0).contiguous()).T
        return refined
