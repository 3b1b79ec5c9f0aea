"""The problem as a custom stage sees it: Tanner graph and coordinates, as plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from autoqec.problem.geometry import find_geometry
from autoqec.problem.problem import Problem


@dataclass(frozen=True)
class Graph:
    """A decoding problem, the argument of `Stage.__init__`.

    Attributes:
        num_detectors, num_mechanisms: Columns of syndromes and of beliefs.
        detector, mechanism: The ends of each incidence (the mechanism flips the detector), int64 `[incidences]`, ordered by
            mechanism, then detector.
        priors: Log-odds that each mechanism does not fire, float32 `[mechanisms]`.
        coordinates: x, y, t of each detector, float32 `[detectors, 3]`; zero if the problem has none.
        side: Stabiliser type of each detector, float32 `[detectors]`: 1, -1, or 0 if unknown.
    """

    num_detectors: int
    num_mechanisms: int
    detector: torch.Tensor
    mechanism: torch.Tensor
    priors: torch.Tensor
    coordinates: torch.Tensor
    side: torch.Tensor


def make_graph(problem: Problem) -> Graph:
    """Make a graph from copies of the problem's arrays, so that no stage can change the problem of another."""
    geometry = find_geometry(problem)
    return Graph(
        num_detectors=problem.num_detectors,
        num_mechanisms=len(problem.mechanisms),
        detector=torch.tensor(geometry.detector),
        mechanism=torch.tensor(geometry.mechanism),
        priors=torch.tensor(problem.priors_llr),
        coordinates=torch.tensor(geometry.coordinates),
        side=torch.tensor(geometry.side),
    )
