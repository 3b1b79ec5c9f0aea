"""The embedded agents: an optimiser over stages and training, and two that it must beat; no network and no key."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """`search`, and to compare it with: `random` and `evolution`."""
    roles = ("ideator", "coder", "analyst")
    register("search", "autoqec_plugins.search.search_agent:SearchAgent", roles=roles)
    register("random", "autoqec_plugins.search.random_agent:RandomAgent", roles=roles)
    register("evolution", "autoqec_plugins.search.evolution:EvolutionAgent", roles=roles)
