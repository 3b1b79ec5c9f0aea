"""The stage kind `transformer`: self-attention among the detectors of a shot.

After Vaswani et al. (NeurIPS 2017) with the normalisation first (Xiong et al., ICML 2020); Bausch et al., Nature 635, 834
(2024), decode surface codes with a recurrent one. Attention is among all pairs of detectors, so this is for small codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from autoqec.candidate.stage_contract import Inference, StageConfig
from autoqec.problem.problem import Problem

if TYPE_CHECKING:
    import torch


class TransformerConfig(StageConfig):
    """The fields of a `transformer` stage.

    Attributes:
        layers: Attention and feed-forward layers.
        width: Features of a detector.
        heads: Attention heads; they share the width, so it must be a multiple of them.
        feed_forward: Hidden units of a feed-forward layer, as a multiple of the width.
        head: What each mechanism makes of its detectors' features; see `DetectorReadout`.
    """

    kind: Literal["transformer"] = "transformer"
    layers: int = Field(default=1, ge=1, le=8)
    width: int = Field(default=16, ge=1, le=256)
    heads: int = Field(default=2, ge=1, le=16)
    feed_forward: int = Field(default=2, ge=1, le=8)
    head: Literal["linear", "mlp"] = "linear"

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> TransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Transformer:
    """Stage kind: see `TransformerConfig`."""

    Config = TransformerConfig

    def build(self, config: TransformerConfig, problem: Problem) -> torch.nn.Module:
        """The trainable module; untrained, it returns the beliefs it is given.

        Raises:
            UsageError: The problem has too many detectors to attend to each other.
        """
        from .transformer_module import TransformerModule

        return TransformerModule(config, problem)

    def inference(
        self, config: TransformerConfig, tensors: Mapping[str, np.ndarray], problem: Problem
    ) -> Inference | None:
        """None: torch runs it."""
        return None

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """The fields a search may vary, each with the values worth trying, in order."""
        return {
            "layers": (1, 2, 3),
            "width": (8, 16, 24, 32),
            "heads": (1, 2, 4),
            "feed_forward": (1, 2, 4),
            "head": ("linear", "mlp"),
        }
