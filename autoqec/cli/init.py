"""`autoqec init`: make a lab."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path))
def command(directory: Path) -> int:
    """Make a lab of the git repository at DIRECTORY, or a new one. Running it again changes nothing.

    Writes .autoqec/config.toml where there is none, and sets git up to show AutoQEC's notes in `git log`.
    """
    from autoqec.config import CONFIG_FILE, config_template
    from autoqec.history import initialise
    from autoqec.views.console import say

    ledger = initialise(directory, {CONFIG_FILE: config_template().encode()})
    say(f"lab at {ledger.workdir}; next: autoqec round")
    return 0
