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
    """Turn the git repository at DIRECTORY into a lab, or make a new one. Running it again changes nothing.

    It writes .autoqec/config.toml if absent, and configures git to show AutoQEC's notes in `git log`. --skills writes two
    more files, does not commit them, and does not overwrite files with other contents.
    """
    from autoqec.agents.skill import write_skill
    from autoqec.config import CONFIG_FILE, config_template
    from autoqec.history import initialise
    from autoqec.views.console import say
    from autoqec.wanted_settings import trust_file

    template = config_template().encode()
    ledger = initialise(directory, {CONFIG_FILE: template})
    file = ledger.workdir / CONFIG_FILE
    if file.is_file() and file.read_bytes() == template:  # who wrote it is not asked about it
        trust_file(ledger.workdir, template)
    for name in write_skill(ledger.workdir) if skills else ():
        say(f"wrote {name}")
    say(f"lab at {ledger.workdir}; next: autoqec round")
    return 0
