"""Plugin: the agent family `anthropic:MODEL`, Claude in any role through the Messages API."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """Register the family `anthropic:`."""
    register(
        "anthropic:",
        "autoqec_plugins.anthropic.anthropic_agent:AnthropicAgent",
        roles=("ideator", "coder", "analyst"),
        words=True,
        prices=True,
        requires="ANTHROPIC_API_KEY",
        example="claude-sonnet-4-5",
    )
