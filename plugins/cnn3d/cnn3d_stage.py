"""The stage kind `cnn3d`: three-dimensional convolutions over detectors in space and time.

Syndromes of a surface code look the same everywhere, and convolutions use this symmetry. Gicev, Hollenberg and Usman, Quantum 7,
1058 (2023), and Chamberland et al., Quantum Sci. Technol. 8, 045011 (2023), put such networks in front of a classical decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autoqec.candidate.stage_contract import Inference
from autoqec.problem.problem import Problem

from .cnn3d_config import CNN3DConfig

if TYPE_CHECKING:
    import torch


class CNN3D:
    """Stage kind: see `CNN3DConfig`."""

    Config = CNN3DConfig

    def build(self, config: CNN3DConfig, problem: Problem) -> torch.nn.Module:
        """Build the trainable module; untrained, it returns its input beliefs.

        Raises:
            UsageError: The problem's detectors have no coordinates, or do not lie on a grid.
        """
        from .cnn3d_module import CNN3DModule

        return CNN3DModule(config, problem)

    def inference(self, config: CNN3DConfig, tensors: Mapping[str, np.ndarray], problem: Problem) -> Inference | None:
        """Return None: torch runs this stage."""
        return None

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the fields that a search may vary, each with its values in order."""
        return {
            "layers": (1, 2, 3, 4, 6),
            "channels": (4, 8, 12, 16, 24),
            "kernel": (3, 5),
            "residual": (False, True),
            "head": ("linear", "mlp"),
        }
