"""Plugin: the embedded agents `search` (an optimiser over stages and training), `random` and `evolution`.

They need no network and no key. `random` and `evolution` are the agents that `search` must beat.
"""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """Register `search`, and for comparison `random` and `evolution`."""
    roles = ("ideator", "coder", "analyst")
    register("search", "autoqec_plugins.search.search_agent:SearchAgent", roles=roles)
    register("random", "autoqec_plugins.search.random_agent:RandomAgent", roles=roles)
    register("evolution", "autoqec_plugins.search.evolution:EvolutionAgent", roles=roles)
