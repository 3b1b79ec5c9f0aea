"""The fields of a `gnn` stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from autoqec.candidate.stage_contract import StageConfig

Message = Literal[
    "mlp",
    "gated_mlp",
    "attention",
    "gru_cell",
    "edge_attention",
    "geometric_attention",
    "residual_mlp",
    "normalized_mlp",
]
Aggregation = Literal["sum", "mean", "max", "attention_pool", "set_transformer", "gated_sum"]
Normalisation = Literal["none", "layer", "batch", "edge", "graph"]


class GNNConfig(StageConfig):
    """The fields of a `gnn` stage.

    A layer sends messages from mechanisms to detectors and then from detectors to mechanisms, each along all incidences
    with weights of their own; the head turns a mechanism's last state into a correction of its belief.

    Attributes:
        layers: Layers, each with its own weights.
        hidden: Features of a node's state.
        message: How a message is made; see `messages`.
        aggregation: How the messages to a node become one; see `aggregations`.
        normalisation: What is brought to mean 0 and variance 1, and then scaled: `layer` a node's features; `batch` each
            feature over nodes and shots of a training batch, and by running statistics afterwards; `edge` a message's
            features; `graph` each feature over the nodes of a shot, with a learned share of the mean.
        residual: Add the update to a node's state instead of replacing it.
        head: `linear`, or `mlp` with one hidden layer.
        edge_syndrome: Messages know whether the detector fired.
        edge_round: They know its place in time; 0 where the error model has no coordinates.
        edge_type: They know its stabiliser type; 0 where the matching graph does not show two.
        edge_distance: They know the distance between detector and mechanism; 0 without coordinates.
        edge_prior: They know the mechanism's prior.
    """

    kind: Literal["gnn"] = "gnn"
    layers: int = Field(default=2, ge=1, le=8)
    hidden: int = Field(default=8, ge=1, le=128)
    message: Message = "mlp"
    aggregation: Aggregation = "sum"
    normalisation: Normalisation = "none"
    residual: bool = True
    head: Literal["linear", "mlp"] = "mlp"
    edge_syndrome: bool = True
    edge_round: bool = True
    edge_type: bool = True
    edge_distance: bool = True
    edge_prior: bool = True
