"""Conformance check for commands: a click command with a free name and a help text."""

from __future__ import annotations

from collections.abc import Collection

import click
from click.testing import CliRunner


def check_command(command: click.Command, name: str | None = None, taken: Collection[str] = ()) -> None:
    """Check a command: it is one of click's, has a name that no other command has, and answers `--help` with what it does.

    The command itself is not run.

    Args:
        command: The command.
        name: What it is registered as; its own name by default.
        taken: Names of the built-in commands, which a plugin cannot replace.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    assert isinstance(command, click.Command), f"a command is a click.Command, not {type(command).__name__}"
    called = name or command.name
    assert called not in taken, f"autoqec {called} is a built-in command, and cannot be replaced"
    assert command.help or command.short_help, "a command needs a help text: give the function a docstring"
    done = CliRunner().invoke(command, ["--help"], prog_name=f"autoqec {called}", catch_exceptions=True)
    assert done.exit_code == 0, f"--help ends with exit code {done.exit_code}: {done.exception or done.output}"
    assert f"autoqec {called}" in done.output, "--help must say how the command is used"
