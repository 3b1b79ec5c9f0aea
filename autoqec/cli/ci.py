"""`autoqec ci`: what the workflow of `autoqec init --ci` runs, step by step. Each subcommand has its own module."""

from __future__ import annotations

import importlib

import click

from autoqec.cli.command_group import CommandGroup

#: Subcommand → its line of help. The module `autoqec.cli.ci_<name>` is imported on use.
SUBCOMMANDS = {
    "fetch": "Fetch the records of a pull request's round.",
    "judge": "Audit and replay its verdict, without a token of the host.",
    "tell": "Set the commit's status and write the comment.",
}


class _LazyCi(CommandGroup):
    """A group that imports a command on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in SUBCOMMANDS:
            return None
        command: click.Command = importlib.import_module(f"autoqec.cli.ci_{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(cls=_LazyCi)
def command() -> None:
    """Judge the round of a pull request in a host's CI: fetch, judge and tell, as `autoqec init --ci` sets it up."""
