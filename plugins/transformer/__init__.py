"""Plugin: the stage kind `transformer`, a small transformer over detectors."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_stages(register: Register) -> None:
    """Register `transformer`."""
    register("transformer", "autoqec_plugins.transformer.transformer_stage:Transformer")
