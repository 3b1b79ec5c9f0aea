"""The fields of an `mlp` stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from autoqec.candidate.stage_contract import StageConfig


class MLPConfig(StageConfig):
    """The fields of an `mlp` stage.

    Attributes:
        hidden: Units of a hidden layer.
        head: `linear`: one hidden layer, then the correction; `mlp`: two.
        see_beliefs: Use the incoming beliefs as input in addition to the syndrome; recommended after another stage.
    """

    kind: Literal["mlp"] = "mlp"
    hidden: int = Field(default=32, ge=1, le=1024)
    head: Literal["linear", "mlp"] = "linear"
    see_beliefs: bool = True
