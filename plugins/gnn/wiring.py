"""The edges of one message direction, and linear maps on edges that are computed per node and then gathered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from autoqec.candidate.blocks import Linear
from autoqec.problem.geometry import find_geometry
from autoqec.problem.problem import Problem

from .gnn_config import GNNConfig


@dataclass(frozen=True)
class Wiring:
    """One direction of the Tanner graph, for one batch.

    Attributes:
        source, target: Nodes of each edge, `[edges]`.
        targets: Number of target nodes.
        to_detectors: Whether the targets are detectors; otherwise the sources are.
        features: Fixed features of the edges, `[edges, features, 1]`.
        bits: The syndrome, `[detectors, 1, shots]`.
        distance: Distances, scaled to at most 1, `[edges, 1, 1]`.
    """

    source: torch.Tensor
    target: torch.Tensor
    targets: int
    to_detectors: bool
    features: torch.Tensor
    bits: torch.Tensor
    distance: torch.Tensor


def edge_features(config: GNNConfig, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Return the fixed edge features of a config, `[incidences, features, 1]`, and distances, `[incidences, 1, 1]`."""
    geometry = find_geometry(problem)
    time = geometry.coordinates[:, 2]
    middle, reach = (time.max() + time.min()) / 2, max(1e-6, float(np.ptp(time)) / 2)
    distance = geometry.distance / max(1e-6, float(geometry.distance.max()))
    columns = {
        "edge_round": ((time - middle) / reach)[geometry.detector],
        "edge_type": geometry.side[geometry.detector],
        "edge_distance": distance,
        # Log-odds of circuit noise lie between 5 and 9; this shift and scale brings them to about ±1.
        "edge_prior": (problem.priors_llr[geometry.mechanism] - 7.0) / 2,
    }
    chosen = [column for name, column in columns.items() if getattr(config, name)]
    rows = np.stack(chosen, axis=1) if chosen else np.zeros((len(distance), 0))
    return rows[:, :, None].astype(np.float32), distance[:, None, None].astype(np.float32)


class EdgeLinear(torch.nn.Module):
    """`A source + B target + C edge + D bit + bias` for each edge, `[edges, outputs, shots]`.

    The products with A, B and D are computed per node and then gathered, because a detector has about forty edges.

    Args:
        hidden: Features of a node.
        outputs: Features of the result.
        edge: Number of fixed edge features.
        bit: Whether to include the syndrome bit.
        source, target: Which ends to include.
    """

    def __init__(
        self, hidden: int, outputs: int, edge: int, bit: bool, *, source: bool = True, target: bool = True
    ) -> None:
        super().__init__()
        self.source = Linear(hidden, outputs) if source else None
        self.target = Linear(hidden, outputs, bias=not source) if target else None
        self.edge = Linear(edge, outputs, bias=False) if edge else None
        self.bit = Linear(1, outputs, bias=False) if bit else None

    def forward(self, wiring: Wiring, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """See the class; `source` and `target` are `[nodes, hidden, shots]`."""
        total: torch.Tensor | None = None
        for ends, index, map_, is_detector in (
            (source, wiring.source, self.source, not wiring.to_detectors),
            (target, wiring.target, self.target, wiring.to_detectors),
        ):
            at_node = None if map_ is None else map_(ends)
            if self.bit is not None and is_detector:
                bits = self.bit(wiring.bits)
                at_node = bits if at_node is None else at_node + bits
            if at_node is not None:
                part = at_node.index_select(0, index)
                total = part if total is None else total.add_(part)  # in place, to save memory traffic
        assert total is not None
        return total if self.edge is None else total.add_(self.edge(wiring.features))
