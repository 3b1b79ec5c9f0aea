"""`autoqec plugins`: everything registered, and what is broken."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options


@click.command()
@click.option("--kind", default=None, help="Only agents, decoders, verifiers, stages, codes, executors or commands.")
@click.option("--metadata", is_flag=True, help="Import nothing: list installed plugins from their metadata.")
@options.json_option
def command(kind: str | None, metadata: bool, as_json: bool) -> int:
    """Everything plugins registered: agents, decoders, verifiers, stages, codes, executors, commands.

    A plugin that cannot be imported is listed as broken and skipped. AUTOQEC_LOAD_PLUGINS selects plugins by name.
    """
    from autoqec.errors import UsageError
    from autoqec.plugins import KINDS, describe, describe_metadata
    from autoqec.views.console import print_json
    from autoqec.views.installed_text import print_plugins

    if kind is not None and kind.removesuffix("s") not in KINDS:
        there = ", ".join(f"{name}s" for name in KINDS)
        raise UsageError(f"plugins register no {kind!r}; there are {there}", hint=f"autoqec plugins --kind {KINDS[0]}s")
    items = describe_metadata() if metadata else describe()
    items = [item for item in items if kind is None or item.get("kind") in (kind, kind.removesuffix("s"), None)]
    print_json(items) if as_json else print_plugins(items)
    return 0
