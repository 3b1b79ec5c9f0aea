"""Plugin: an agent that is somebody outside — a person, a script, a coding agent — and replies by `autoqec agents reply`."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """`manual`."""
    register("manual", "autoqec_plugins.manual.manual_agent:ManualAgent", words=True, requires="somebody who replies")
