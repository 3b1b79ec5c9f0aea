"""The fields of a `cnn3d` stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from autoqec.candidate.stage_contract import StageConfig


class CNN3DConfig(StageConfig):
    """The fields of a `cnn3d` stage.

    Attributes:
        layers: Convolutions, each followed by a ReLU.
        channels: Features of a cell.
        kernel: Cells a convolution sees along each axis.
        residual: From the second on, add a convolution's result to its input.
        head: What each mechanism makes of its detectors' features; see `DetectorReadout`.
    """

    kind: Literal["cnn3d"] = "cnn3d"
    layers: int = Field(default=3, ge=1, le=16)
    channels: int = Field(default=8, ge=1, le=128)
    kernel: Literal[1, 3, 5] = 3
    residual: bool = True
    head: Literal["linear", "mlp"] = "linear"
