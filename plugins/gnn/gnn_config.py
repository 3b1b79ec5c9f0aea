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

    A layer sends messages from mechanisms to detectors and then from detectors to mechanisms, along all incidences, with
    separate weights for the two directions. The head turns a mechanism's last state into a correction of its belief.

    Attributes:
        layers: Number of layers, each with its own weights.
        hidden: Features of a node's state.
        message: The message function; see `gnn_messages`.
        aggregation: The aggregation of messages to a node; see `aggregations`.
        normalisation: The values normalised to mean 0 and variance 1, then scaled: `layer` a node's features; `batch` each
            feature over nodes and shots of a training batch, and later by running statistics; `edge` a message's features;
            `graph` each feature over the nodes of a shot, with a learned fraction of the mean.
        residual: Add the update to a node's state instead of replacing it.
        head: `linear`, or `mlp` with one hidden layer.
        edge_syndrome: Messages see whether the detector fired.
        edge_round: Messages see the detector's time coordinate; 0 without coordinates.
        edge_type: Messages see the detector's stabiliser type; 0 if the matching graph does not have two components.
        edge_distance: Messages see the distance between detector and mechanism; 0 without coordinates.
        edge_prior: Messages see the mechanism's prior.
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
