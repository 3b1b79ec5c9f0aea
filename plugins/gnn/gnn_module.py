"""The graph neural network in torch: messages between mechanisms and detectors, and a head on mechanisms."""

from __future__ import annotations

from typing import cast

import torch
from torch.nn import functional

from autoqec.candidate.blocks import LEAK, Head, Linear, belief_features
from autoqec.problem.geometry import find_geometry
from autoqec.problem.problem import Problem

from .aggregations import AGGREGATIONS
from .gnn_config import GNNConfig
from .gnn_messages import MESSAGES
from .normalisations import of_messages, of_states
from .wiring import Wiring, edge_features


class _Sweep(torch.nn.Module):
    """Messages along all edges in one direction, and the new states of their targets."""

    def __init__(self, config: GNNConfig, edge: int) -> None:
        super().__init__()
        hidden = config.hidden
        self.message = MESSAGES[config.message](hidden, edge, config.edge_syndrome)
        self.message_norm = of_messages(config.normalisation, hidden)
        self.aggregate = AGGREGATIONS[config.aggregation](hidden)
        self.own, self.heard = Linear(hidden, hidden), Linear(hidden, hidden, bias=False)
        self.norm = of_states(config.normalisation, hidden)
        self._residual = config.residual

    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        messages = self.message_norm(self.message(wiring, source, target))
        heard = self.heard(self.aggregate(wiring, messages))
        new: torch.Tensor = functional.leaky_relu(self.norm(self.own(target) + heard), LEAK)
        return target + new if self._residual else new


def _shots_at_once(incidences: int, hidden: int) -> int:
    """Return a power of two for which the tensor of all messages stays below 32 MiB.

    For larger tensors glibc gets fresh memory from the kernel each time, and clearing it takes longer than the sums.
    """
    most = 2**25 // (incidences * 2 * hidden * 4)
    return min(64, max(8, 1 << (max(1, most).bit_length() - 1)))


class GNNModule(torch.nn.Module):
    """See `GNNConfig`."""

    def __init__(self, config: GNNConfig, problem: Problem) -> None:
        super().__init__()
        self._detectors, self._mechanisms = problem.num_detectors, len(problem.mechanisms)
        geometry = find_geometry(problem)
        features, distance = edge_features(config, problem)
        for name, value in (
            ("_mechanism", geometry.mechanism),
            ("_detector", geometry.detector),
            ("_features", features),
            ("_distance", distance),
        ):
            self.register_buffer(name, torch.from_numpy(value), persistent=False)
        self.shots_at_once = _shots_at_once(len(geometry.detector), config.hidden)
        self.embed_detector = Linear(1, config.hidden)
        self.embed_mechanism = Linear(2, config.hidden)
        self.to_detectors = torch.nn.ModuleList(_Sweep(config, features.shape[1]) for _ in range(config.layers))
        self.to_mechanisms = torch.nn.ModuleList(_Sweep(config, features.shape[1]) for _ in range(config.layers))
        self.head = Head(config.head, config.hidden)

    def forward(self, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
        """Refine beliefs.

        Args:
            syndromes: 0 or 1, float32 `[shots, detectors]`.
            beliefs: Log-likelihood ratios, float32 `[shots, mechanisms]`.

        Returns:
            Beliefs, `[shots, mechanisms]`; equal to the input until the head is trained.
        """
        bits = (2 * syndromes.T - 1).unsqueeze(1)
        down, up = self._wiring(bits, True), self._wiring(bits, False)
        detectors, mechanisms = self.embed_detector(bits), self.embed_mechanism(belief_features(beliefs.T))
        for to_detectors, to_mechanisms in zip(self.to_detectors, self.to_mechanisms, strict=True):
            detectors = to_detectors(down, mechanisms, detectors)
            mechanisms = to_mechanisms(up, detectors, mechanisms)
        refined: torch.Tensor = beliefs + self.head(mechanisms).T
        return refined

    def _wiring(self, bits: torch.Tensor, to_detectors: bool) -> Wiring:
        mechanism, detector = cast(torch.Tensor, self._mechanism), cast(torch.Tensor, self._detector)
        return Wiring(
            source=mechanism if to_detectors else detector,
            target=detector if to_detectors else mechanism,
            targets=self._detectors if to_detectors else self._mechanisms,
            to_detectors=to_detectors,
            features=cast(torch.Tensor, self._features),
            bits=bits,
            distance=cast(torch.Tensor, self._distance),
        )
