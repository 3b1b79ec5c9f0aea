"""A group of our commands: it keeps what foreign code prints off their data."""

from __future__ import annotations

import click

from autoqec.cli.standard_streams import prints_apart

#: Where the commands are that print data through `views.console`; one of a plugin prints as it likes.
_OURS = "autoqec.cli."


class CommandGroup(click.Group):
    """A group whose commands have standard output for themselves."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's own, with foreign prints turned away while one of our commands runs."""
        name, command, rest = super().resolve_command(ctx, args)
        callback = None if command is None else command.callback
        if command is not None and callback is not None and callback.__module__.startswith(_OURS):
            command.callback = prints_apart(callback)
        return name, command, rest
