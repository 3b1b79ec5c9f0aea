"""Plugin: coding agents that run as programs, `cli:claude` and `cli:codex`; they get text and no tools."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """Register the family `cli:`; `cli:claude:MODEL` also names a model."""
    register(
        "cli:",
        "autoqec_plugins.cli_agent.program_agent:CliAgent",
        words=True,
        prices=True,
        requires="claude or codex on PATH",
        example="claude",
    )
