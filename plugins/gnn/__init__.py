"""Plugin: the stage kind `gnn`, a graph neural network on the Tanner graph."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_stages(register: Register) -> None:
    """Register `gnn`."""
    register("gnn", "autoqec_plugins.gnn.gnn_stage:GNN")
