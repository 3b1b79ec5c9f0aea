"""Plugin: the stage kind `neural_bp`, belief propagation whose message scales and dampings are learned."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_stages(register: Register) -> None:
    """Offer `neural_bp`."""
    register("neural_bp", "autoqec_plugins.neural_bp.neural_bp_stage:NeuralBP")
