"""The stage kind `transformer`: self-attention among the detectors of a shot.

After Vaswani et al. (NeurIPS 2017) with the normalisation first (Xiong et al., ICML 2020); Bausch et al., Nature 635, 834
(2024), decode surface codes with a recurrent one. Attention is among all pairs of detectors, so this is for small codes.
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
