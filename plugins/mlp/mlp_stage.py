"""The stage kind `mlp`: dense layers from syndrome and beliefs to a correction of every belief.

The first neural decoders were such networks (Torlai and Melko, PRL 119, 030501); they know nothing of the code and pay for it
in weights, but a small one is the fastest learned stage there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from autoqec.candidate.stage_contract import Inference, StageConfig
from autoqec.problem.problem import Problem

if TYPE_CHECKING:
    import torch


class MLPConfig(StageConfig):
    """The fields of an `mlp` stage.

    Attributes:
        hidden: Units of a hidden layer.
        head: `linear`: one hidden layer, then the correction; `mlp`: two.
        see_beliefs: Whether the incoming beliefs are an input beside the syndrome; they should be behind another stage.
    """

    kind: Literal["mlp"] = "mlp"
    hidden: int = Field(default=32, ge=1, le=1024)
    head: Literal["linear", "mlp"] = "linear"
    see_beliefs: bool = True


class MLP:
    """Stage kind: see `MLPConfig`."""

    Config = MLPConfig

    def build(self, config: MLPConfig, problem: Problem) -> torch.nn.Module:
        """The trainable module; untrained, it returns the beliefs it is given."""
        from .mlp_module import MLPModule

        return MLPModule(config, problem)

    def inference(self, config: MLPConfig, tensors: Mapping[str, np.ndarray], problem: Problem) -> Inference | None:
        """None: torch runs it."""
        return None

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """The fields a search may vary, each with the values worth trying, in order."""
        return {"hidden": (16, 32, 64, 128), "head": ("linear", "mlp"), "see_beliefs": (False, True)}
