"""The stage kind `transformer`: self-attention among the detectors of a shot.

It follows Vaswani et al. (NeurIPS 2017) with pre-layer normalisation (Xiong et al., ICML 2020). Bausch et al., Nature 635, 834
(2024), decode surface codes with a recurrent transformer. Attention acts between all pairs of detectors, so use it for small
codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autoqec.candidate.stage_contract import Inference
from autoqec.problem.problem import Problem

from .transformer_config import TransformerConfig

if TYPE_CHECKING:
    import torch


class Transformer:
    """Stage kind: see `TransformerConfig`."""

    Config = TransformerConfig

    def build(self, config: TransformerConfig, problem: Problem) -> torch.nn.Module:
        """Build the trainable module; untrained, it returns its input beliefs.

        Raises:
            UsageError: The problem has too many detectors for full attention.
        """
        from .transformer_module import TransformerModule

        return TransformerModule(config, problem)

    def inference(
        self, config: TransformerConfig, tensors: Mapping[str, np.ndarray], problem: Problem
    ) -> Inference | None:
        """Return None: torch runs this stage."""
        return None

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the fields that a search may vary, each with its values in order."""
        return {
            "layers": (1, 2, 3),
            "width": (8, 16, 24, 32),
            "heads": (1, 2, 4),
            "feed_forward": (1, 2, 4),
            "head": ("linear", "mlp"),
        }
