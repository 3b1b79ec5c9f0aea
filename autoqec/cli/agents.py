"""`autoqec agents`: list and compare agents, and reply in their place. Each subcommand has its own module."""

from __future__ import annotations

import importlib

import click

from autoqec.cli.command_group import CommandGroup

#: Subcommand → its line of help. The module `autoqec.cli.agents_<name>` is imported on use.
SUBCOMMANDS = {
    "compare": "Compare agents at equal compute.",
    "list": "List agents with their roles and requirements.",
    "prompt": "Print the prompt of the role that a round waits for.",
    "reply": "Reply as that role, and continue the round.",
}


class _LazyAgents(CommandGroup):
    """A group that imports a command on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in SUBCOMMANDS:
            return None
        command: click.Command = importlib.import_module(f"autoqec.cli.agents_{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(cls=_LazyAgents)
def command() -> None:
    """List agents, compare them, or reply in their place, one message at a time."""
