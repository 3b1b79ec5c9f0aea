"""Plugin: the agent `manual`: a person, script or coding agent outside AutoQEC that replies with `autoqec agents reply`."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """Register `manual`."""
    register("manual", "autoqec_plugins.manual.manual_agent:ManualAgent", words=True, requires="somebody who replies")
