"""Plugin: the stage kind `neural_bp`, belief propagation with learned message scales and dampings."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_stages(register: Register) -> None:
    """Register `neural_bp`."""
    register("neural_bp", "autoqec_plugins.neural_bp.neural_bp_stage:NeuralBP")
