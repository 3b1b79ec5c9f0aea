"""`autoqec plugins new`: write a new plugin package."""

from __future__ import annotations

from pathlib import Path

import click

from autoqec.cli import shared_options as options

_KINDS = ("agent", "decoder", "verifier", "stage", "code", "executor", "host", "command")


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What the plugin registers.")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="Folder to put it in; by default this one.",
)
@options.json_option
def command(name: str, kind: str, to: Path, as_json: bool) -> int:
    """Write a new plugin package, autoqec-NAME, with tests that pass.

    The package registers NAME with a small implementation that works, which you replace with your own. A folder that exists is
    never written to.
    """
    from autoqec.cli.main import COMMANDS
    from autoqec.plugins import load_plugins
    from autoqec.testing.new_plugin import write_plugin
    from autoqec.views.console import print_json
    from autoqec.views.installed_text import print_new_plugin

    written = [str(path) for path in write_plugin(name, kind, to, load_plugins(), COMMANDS)]
    if as_json:
        print_json([{"schema": "autoqec.new_plugin/1", "name": name, "kind": kind, "files": written}])
    else:
        print_new_plugin(written)
    return 0
