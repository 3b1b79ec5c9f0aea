"""`autoqec plugins check`: import plugins, and run their conformance tests."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options


@click.command()
@click.argument("name", required=False)
@options.json_option
def command(name: str | None, as_json: bool) -> int:
    """Import plugins and run their conformance tests.

    NAME is a plugin, a distribution or a registered name; without it, every plugin is checked. What needs a key, a network or a
    program is checked only in part, and the command says so. Exit code 1 if a check fails.
    """
    from collections.abc import Iterator
    from dataclasses import asdict
    from typing import cast

    from autoqec.cli.main import COMMANDS
    from autoqec.errors import UsageError
    from autoqec.plugins import load_plugins
    from autoqec.printed_rows import CheckRow
    from autoqec.testing.plugin_checks import Checked, check_plugins
    from autoqec.views.console import print_json
    from autoqec.views.installed_text import print_checks

    if not __debug__:
        raise UsageError("the checks are assertions, and python -O leaves them out", hint="unset PYTHONOPTIMIZE")
    failed = False

    def rows() -> Iterator[CheckRow]:
        nonlocal failed
        checked: Checked
        for checked in check_plugins(load_plugins(), name, COMMANDS):
            failed = failed or checked.result == "failed"
            yield cast(CheckRow, {"schema": "autoqec.plugin_check/1", **asdict(checked)})

    print_json(rows()) if as_json else print_checks(rows())
    return 1 if failed else 0
