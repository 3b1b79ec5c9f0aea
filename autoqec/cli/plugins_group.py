"""`autoqec plugins`: what is installed; to check a plugin and to begin a new one. Each subcommand is a module of its own."""

from __future__ import annotations

import importlib

import click

from autoqec.cli import shared_options as options
from autoqec.cli.command_group import CommandGroup

#: Subcommand → its line of help. The module `autoqec.cli.plugins_<name>` is imported when it is used, not before.
SUBCOMMANDS = {
    "list": "Everything plugins registered, and what is broken.",
    "check": "Import plugins and run their conformance tests.",
    "new": "Write a new plugin package, with tests that pass.",
}


class _LazyPlugins(CommandGroup):
    """A group whose commands are imported when named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in SUBCOMMANDS:
            return None
        command: click.Command = importlib.import_module(f"autoqec.cli.plugins_{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(cls=_LazyPlugins, invoke_without_command=True)
@options.kind_option
@options.metadata_option
@options.json_option
@click.pass_context
def command(ctx: click.Context, kind: str | None, metadata: bool, as_json: bool) -> int:
    """What is installed: agents, decoders, verifiers, stages, codes, executors, hosts, commands.

    Without a subcommand it lists everything that plugins registered, as `autoqec plugins list` does.
    """
    if ctx.invoked_subcommand is None:
        from autoqec.cli.plugins_list import list_plugins

        return list_plugins(kind, metadata, as_json)
    if kind is not None or metadata or as_json:
        from autoqec.errors import UsageError

        name = ctx.invoked_subcommand
        raise UsageError(f"options go after the subcommand {name}", hint=f"autoqec plugins {name} --help")
    return 0
