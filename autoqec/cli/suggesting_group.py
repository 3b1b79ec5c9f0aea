"""A group of commands that suggests a known name for a misspelt one."""

from __future__ import annotations

from difflib import get_close_matches

import click


class SuggestingGroup(click.Group):
    """A group that suggests its listed commands; click suggests only commands that are already imported."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's own, with the nearest listed command in the error."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near and error.message.startswith("No such command") and "Did you mean" not in error.message:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
            raise
