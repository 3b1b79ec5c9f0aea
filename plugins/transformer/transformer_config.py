"""The fields of a `transformer` stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from autoqec.candidate.stage_contract import StageConfig


class TransformerConfig(StageConfig):
    """The fields of a `transformer` stage.

    Attributes:
        layers: Attention and feed-forward layers.
        width: Features of a detector.
        heads: Attention heads; the width must be a multiple of this number.
        feed_forward: Hidden units of a feed-forward layer, as a multiple of the width.
        head: The map from detectors' features to a mechanism; see `DetectorReadout`.
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
