"""The convolutional network in torch: detectors to grid, convolutions, grid to detectors, readout per mechanism."""

from __future__ import annotations

from typing import cast

import torch

from autoqec.candidate.blocks import DetectorInput, DetectorReadout
from autoqec.problem.geometry import find_geometry
from autoqec.problem.problem import Problem

from .cnn3d_config import CNN3DConfig
from .grid import lay_out


class CNN3DModule(torch.nn.Module):
    """See `CNN3DConfig`. Cells without a detector are zero, and a third input channel marks the cells with one."""

    def __init__(self, config: CNN3DConfig, problem: Problem) -> None:
        super().__init__()
        geometry, self._grid = find_geometry(problem), lay_out(problem)
        mechanism, detector = torch.from_numpy(geometry.mechanism), torch.from_numpy(geometry.detector)
        self.register_buffer("_place", torch.from_numpy(self._grid.place), persistent=False)
        self._input = DetectorInput(mechanism, detector, problem.num_detectors)
        width, slots = config.channels, self._grid.slots
        self.convolutions = torch.nn.ModuleList(
            torch.nn.Conv3d(width if layer else 3 * slots, width * (slots if layer == config.layers - 1 else 1),
                            config.kernel, padding="same")
            for layer in range(config.layers)
        )  # fmt: skip
        self.head = DetectorReadout(config.head, width, mechanism, detector, len(problem.mechanisms))
        self._width, self._residual = width, config.residual

    def forward(self, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
        """Refine beliefs.

        Args:
            syndromes: 0 or 1, float32 `[shots, detectors]`.
            beliefs: Log-likelihood ratios, float32 `[shots, mechanisms]`.

        Returns:
            Beliefs, `[shots, mechanisms]`; equal to the input until the head is trained.
        """
        shots, place = len(beliefs), cast(torch.Tensor, self._place)
        seen = self._input(syndromes, beliefs)
        seen = torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1).permute(2, 1, 0)
        time, y, x = self._grid.shape
        cells = self._grid.slots * time * y * x
        volume = seen.new_zeros(shots, 3, cells).index_copy(2, place, seen)
        volume = volume.view(shots, 3 * self._grid.slots, time, y, x)
        for convolution in self.convolutions:
            new = torch.relu(convolution(volume))
            volume = volume + new if self._residual and new.shape == volume.shape else new
        features = volume.reshape(shots, self._width, cells).index_select(2, place).permute(2, 1, 0)
        refined: torch.Tensor = beliefs + self.head(features.contiguous()).T
        return refined
