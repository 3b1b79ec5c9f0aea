"""The command reference, made from the commands themselves: `python -m autoqec.cli.reference > docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from autoqec.cli.main import cli


def _walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    with context:
        yield context.command_path, command.get_help(context)
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None:
                    yield from _walk(child, _context(child, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    # A width of its own, so that the text does not depend on the terminal it is made in.
    settings = {**command.context_settings, "terminal_width": 100, "max_content_width": 100}
    return click.Context(command, info_name=name, parent=parent, **settings)


def reference() -> str:
    """Every command's `--help`, as Markdown."""
    pages = [f"## {path}\n\n```\n{text}\n```\n" for path, text in _walk(cli, _context(cli, "autoqec"))]
    return "\n".join(["# Command reference\n\nMade by `python -m autoqec.cli.reference`.\n", *pages])


if __name__ == "__main__":
    print(reference(), end="")
