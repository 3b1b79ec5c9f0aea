"""Plugin: coding agents that are installed as programs play roles, `cli:claude` and `cli:codex`; they get text, and no tools."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """The family `cli:`, of which `cli:claude:MODEL` names a model too."""
    register(
        "cli:",
        "autoqec_plugins.cli_agent.program_agent:CliAgent",
        words=True,
        prices=True,
        requires="claude or codex on PATH",
    )
