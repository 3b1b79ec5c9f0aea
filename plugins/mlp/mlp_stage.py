"""The stage kind `mlp`: dense layers from syndrome and beliefs to a correction of every belief.

The first neural decoders were such networks (Torlai and Melko, PRL 119, 030501). They do not use the structure of the code and
so need many weights, but a small one is the fastest learned stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autoqec.candidate.stage_contract import Inference
from autoqec.problem.problem import Problem

from .mlp_config import MLPConfig

if TYPE_CHECKING:
    import torch


class MLP:
    """Stage kind: see `MLPConfig`."""

    Config = MLPConfig

    def build(self, config: MLPConfig, problem: Problem) -> torch.nn.Module:
        """Build the trainable module; untrained, it returns its input beliefs."""
        from .mlp_module import MLPModule

        return MLPModule(config, problem)

    def inference(self, config: MLPConfig, tensors: Mapping[str, np.ndarray], problem: Problem) -> Inference | None:
        """Return None: torch runs this stage."""
        return None

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the fields that a search may vary, each with its values in order."""
        return {"hidden": (16, 32, 64, 128), "head": ("linear", "mlp"), "see_beliefs": (False, True)}
