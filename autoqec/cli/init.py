"""`autoqec init`: make a lab."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--skills", is_flag=True, help="Also write a skill for coding agents, to .claude/skills and .agents/skills."
)
def command(directory: Path, skills: bool) -> int:
    """Make a lab of the git repository at DIRECTORY, or a new one. Running it again changes nothing.

    Writes .autoqec/config.toml where there is none, and sets git up to show AutoQEC's notes in `git log`. --skills writes
    two more files, which it does not commit, and refuses to where a file there has other contents.
    """
    from autoqec.agents.skill import write_skill
    from autoqec.config import CONFIG_FILE, config_template
    from autoqec.history import initialise
    from autoqec.views.console import say

    ledger = initialise(directory, {CONFIG_FILE: config_template().encode()})
    for name in write_skill(ledger.workdir) if skills else ():
        say(f"wrote {name}")
    say(f"lab at {ledger.workdir}; next: autoqec round")
    return 0
