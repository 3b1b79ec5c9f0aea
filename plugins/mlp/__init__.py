"""Plugin: the stage kind `mlp`, a multilayer perceptron on syndrome and beliefs."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_stages(register: Register) -> None:
    """Register `mlp`."""
    register("mlp", "autoqec_plugins.mlp.mlp_stage:MLP")
