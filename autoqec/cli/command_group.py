"""A group of our commands: it keeps what foreign code prints off their data, and refuses empty values."""

from __future__ import annotations

import click

from autoqec.cli.standard_streams import prints_apart
from autoqec.errors import UsageError

#: Where the commands are that print data through `views.console`; one of a plugin prints as it likes.
_OURS = "autoqec.cli."


class CommandGroup(click.Group):
    """A group whose commands have standard output for themselves, and values that say something."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's own, with foreign prints turned away while one of our commands runs."""
        name, command, rest = super().resolve_command(ctx, args)
        if ctx.resilient_parsing:  # a shell completes the line, and nothing of it runs
            from autoqec.cli.completed_names import complete_names

            if command is not None:
                complete_names(command, f"{ctx.command_path} {name}".partition(" ")[2])
            return name, command, rest
        callback = None if command is None else command.callback
        if command is not None and callback is not None and callback.__module__.startswith(_OURS):
            command.callback = prints_apart(callback)
            own = rest
            if isinstance(command, click.Group):  # the rest is checked with the subcommand
                ends = [place for place, arg in enumerate(rest) if arg in command.list_commands(ctx)]
                own = rest[: min(ends, default=len(rest))]
            _refuse_empty(f"{ctx.command_path} {name}", command, own)
        return name, command, rest


def _refuse_empty(path: str, command: click.Command, args: list[str]) -> None:
    """Refuse an empty value: a script's variable that was never set names nothing, and must not be taken for a default.

    Args:
        path: The command's name.
        command: The command. An option of it whose default is empty may be empty.
        args: Its arguments, not yet parsed.

    Raises:
        UsageError: An argument or an option's value is empty.
    """
    options = {name: option for option in command.params for name in option.opts if isinstance(option, click.Option)}
    for before, arg in zip(["", *args], args, strict=False):
        name = arg[:-1] if arg.startswith("--") and arg.endswith("=") else before if arg == "" else None
        option = None if name is None else options.get(name)
        if option is not None and not option.is_flag and option.default != "":
            raise UsageError(f"{name} is empty", hint=f"leave {name} out, or give it a value; {path} --help")
        if arg == "" and (option is None or option.is_flag):
            raise UsageError("an argument is empty", hint=f"leave it out, or give it a value; {path} --help")
