"""`autoqec plugins list`: everything registered, and what is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from autoqec.cli import shared_options as options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autoqec.printed_rows import BrokenRow, PluginRow


@click.command()
@options.kind_option
@options.metadata_option
@options.json_option
def command(kind: str | None, metadata: bool, as_json: bool) -> int:
    """Everything plugins registered: agents, decoders, verifiers, stages, codes, executors, hosts, commands.

    A plugin that cannot be imported or used is listed as broken, with the reason, and skipped. AUTOQEC_LOAD_PLUGINS selects
    plugins by name.
    """
    return list_plugins(kind, metadata, as_json)


def list_plugins(kind: str | None, metadata: bool, as_json: bool) -> int:
    """Print what is registered.

    Args:
        kind: Only of this kind, as a singular or plural.
        metadata: Whether to import nothing.
        as_json: Whether to print JSON.

    Raises:
        UsageError: There is no such kind.
    """
    from autoqec.errors import UsageError
    from autoqec.plugins import KINDS, describe, describe_metadata
    from autoqec.views.console import print_json
    from autoqec.views.installed_text import print_plugins

    if kind is not None and kind.removesuffix("s") not in KINDS:
        there = ", ".join(f"{name}s" for name in KINDS)
        raise UsageError(f"plugins register no {kind!r}; there are {there}", hint=f"autoqec plugins --kind {KINDS[0]}s")
    found: Sequence[PluginRow | BrokenRow] = describe_metadata() if metadata else describe()
    items = [item for item in found if kind is None or item.get("kind") in (kind, kind.removesuffix("s"), None)]
    print_json(items) if as_json else print_plugins(items)
    return 0
