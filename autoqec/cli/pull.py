"""`autoqec pull`: fetch rounds and notes from a remote."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab


@click.command()
@options.sync_options
@click.option("--renumber", is_flag=True, help="Renumber local rounds whose numbers REMOTE gave to other rounds.")
def command(remote: str, run: str | None, artifacts: bool, as_json: bool, renumber: bool) -> int:
    """Fetch rounds, notes, claims, attempts and runs from REMOTE (origin).

    REMOTE is a git remote's name, a URL, or the path of a repository or bundle. Notes of both sides are merged; nothing
    local is overwritten. If a round is archived on the remote, its local branch is deleted unless it is checked out.

    Two clones that worked on one run without `autoqec round --remote` may have used one number for two rounds. With
    --renumber, rounds that only this lab has get the next free numbers; their commits, notes and children do not change.
    """
    from autoqec.history import pull
    from autoqec.views.sync_text import print_sync

    print_sync(pull(open_lab()[0], remote, run, artifacts, renumber), as_json=as_json)
    return 0
