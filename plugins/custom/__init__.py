"""Plugin: the stage kind `custom`, a torch module that the candidate brings along."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_stages(register: Register) -> None:
    """Offer `custom`."""
    register("custom", "autoqec_plugins.custom.custom_stage:Custom")
