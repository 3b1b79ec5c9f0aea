"""`autoqec agents list`: list agents with their roles and requirements."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options


@click.command()
@options.json_option
def command(as_json: bool) -> int:
    """List agents with their roles and requirements (a package, a key, a program).

    A name that ends in a colon needs a suffix, such as the name of a model.
    """
    from autoqec.agents.installed_agents import describe_agents
    from autoqec.plugins import load_plugins
    from autoqec.views.agents_text import print_agents
    from autoqec.views.console import print_json

    items = describe_agents(load_plugins())
    print_json({"schema": "autoqec.agent/1", **item} for item in items) if as_json else print_agents(items)
    return 0
