"""The embedded agent: an optimiser over stages and training that plays all three roles with no network and no key."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """`search`."""
    register("search", "autoqec_plugins.search.agent:SearchAgent", roles=("ideator", "coder", "analyst"))
