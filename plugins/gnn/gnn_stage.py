"""The stage kind `gnn`: message passing between mechanisms and detectors, with several choices for every part.

Graph networks on Tanner graphs as decoders: Cammerer et al., "Graph neural networks for channel decoding" (Globecom 2022).
Here the network refines the beliefs from which the classical decoder gets its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autoqec.candidate.stage_contract import Inference
from autoqec.problem.problem import Problem

from .gnn_config import GNNConfig

if TYPE_CHECKING:
    import torch


class GNN:
    """Stage kind: see `GNNConfig` for what it computes."""

    Config = GNNConfig

    def build(self, config: GNNConfig, problem: Problem) -> torch.nn.Module:
        """Build the trainable module; untrained, it returns its input beliefs."""
        from .gnn_module import GNNModule

        return GNNModule(config, problem)

    def inference(self, config: GNNConfig, tensors: Mapping[str, np.ndarray], problem: Problem) -> Inference | None:
        """Return None: torch runs this stage."""
        return None

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the fields that a search may vary, each with its values in order."""
        return {
            "layers": (1, 2, 3),
            "hidden": (4, 8, 12, 16),
            "message": (
                "mlp", "gated_mlp", "residual_mlp", "normalized_mlp", "gru_cell",
                "attention", "edge_attention", "geometric_attention",
            ),
            "aggregation": ("sum", "mean", "max", "gated_sum", "attention_pool", "set_transformer"),
            "normalisation": ("none", "layer", "graph", "batch", "edge"),
            "residual": (True, False),
            "head": ("linear", "mlp"),
            "edge_distance": (True, False),
            "edge_type": (True, False),
        }  # fmt: skip
