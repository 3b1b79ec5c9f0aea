"""`autoqec agents`: who can play which role, and rounds that are driven step by step. Each subcommand is a module of its own."""

from __future__ import annotations

import importlib

import click

#: Subcommand → its line of help. The module `autoqec.cli.agents_<name>` is imported when it is used, not before.
SUBCOMMANDS = {
    "compare": "Run agents side by side at equal compute.",
    "list": "Who plays which role, and what it needs.",
    "prompt": "What the role that a round waits for is told.",
    "reply": "Answer as that role, and carry the round on.",
}


class _LazyAgents(click.Group):
    """A group whose commands are imported when named."""

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
    """Agents: list them, and play their roles by hand, one reply at a time."""
