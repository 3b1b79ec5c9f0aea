"""The fields of a `cnn3d` stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from autoqec.candidate.stage_contract import StageConfig


class CNN3DConfig(StageConfig):
    """The fields of a `cnn3d` stage.

    Attributes:
        layers: Number of convolutions, each followed by a ReLU.
        channels: Features of a cell.
        kernel: Size of a convolution in cells along each axis.
        residual: Add the input of a convolution to its output, from the second convolution on.
        head: The map from detectors' features to a mechanism; see `DetectorReadout`.
    """

    kind: Literal["cnn3d"] = "cnn3d"
    layers: int = Field(default=3, ge=1, le=16)
    channels: int = Field(default=8, ge=1, le=128)
    kernel: Literal[1, 3, 5] = 3
    residual: bool = True
    head: Literal["linear", "mlp"] = "linear"
