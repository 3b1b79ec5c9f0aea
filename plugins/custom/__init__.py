"""Plugin: the stage kind `custom`, a torch module in the candidate's own code."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_stages(register: Register) -> None:
    """Register `custom`."""
    register("custom", "autoqec_plugins.custom.custom_stage:Custom")
