"""A group of our commands: it suggests a known name for a misspelt one, and keeps what foreign code prints off their data."""

from __future__ import annotations

from difflib import get_close_matches

import click

from autoqec.cli.standard_streams import prints_apart

#: Where the commands are that print data through `views.console`; one of a plugin prints as it likes.
_OURS = "autoqec.cli."


class SuggestingGroup(click.Group):
    """A group that suggests its listed commands; click suggests only commands that are already imported."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's own, with the nearest listed command in the error."""
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near and error.message.startswith("No such command") and "Did you mean" not in error.message:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
            raise
        callback = None if command is None else command.callback
        if command is not None and callback is not None and callback.__module__.startswith(_OURS):
            command.callback = prints_apart(callback)
        return name, command, rest
