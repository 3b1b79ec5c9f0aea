"""Where a search begins: pipelines that are sensible before anything is known, the most promising first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Template:
    """A pipeline to start from.

    Attributes:
        text: The hypothesis in a sentence.
        rationale: Why it should work.
        training: Fields of `training.yaml`; the rest keep their defaults.
        stages: Fields of each stage by slug.
    """

    text: str
    rationale: str
    training: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]


TEMPLATES = (
    Template(
        text="Eight iterations of belief propagation, with scales and dampings learned per detector, set the matching weights",
        rationale=(
            "Belief propagation on the mechanisms sees the correlations that matching on edges drops (Criger and Ashraf 2018;"
            " Higgott et al. 2023); learned factors undo part of what short loops spoil (Nachmani et al. 2016)."
        ),
        training={"init": "parents", "learning_rate": 0.02, "batch_size": 256, "shots": 102_400},
        stages={
            "bp": {
                "kind": "neural_bp",
                "iterations": 8,
                "algorithm": "sum_product",
                "sharing": "per_check",
                "damping": "per_iteration",
                "learn_prior_scale": True,
            }
        },
    ),
    Template(
        text="Three iterations of scaled min-sum are a much cheaper first look at the same correlations",
        rationale="Most of the gain of belief propagation comes from its first iterations; min-sum needs no transcendentals.",
        training={"init": "parents", "learning_rate": 0.02, "batch_size": 256, "shots": 102_400},
        stages={
            "first_look": {
                "kind": "neural_bp",
                "iterations": 3,
                "algorithm": "min_sum",
                "sharing": "per_layer",
                "position": 50,
            }
        },
    ),
)
