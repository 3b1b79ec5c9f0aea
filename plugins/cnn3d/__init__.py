"""Plugin: the stage kind `cnn3d`, a convolutional network on the space-time grid of detectors."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_stages(register: Register) -> None:
    """Register `cnn3d`."""
    register("cnn3d", "autoqec_plugins.cnn3d.cnn3d_stage:CNN3D")
