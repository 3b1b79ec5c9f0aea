"""`autoqec pull`: take up what another repository has."""

from __future__ import annotations

import click

from autoqec.cli import options
from autoqec.cli.lab import open_history


@click.command()
@click.argument("remote", default="origin")
@options.run_option
@click.option("--artifacts", is_flag=True, help="Trained weights too.")
@options.json_option
def command(remote: str, run: str | None, artifacts: bool, as_json: bool) -> int:
    """Take up the rounds, notes, claims, attempts and runs that REMOTE (origin) has.

    REMOTE is a git remote's name, a URL, or the path of a repository or bundle. Notes of both sides are united; nothing
    here is overwritten or removed.
    """
    from autoqec.history import pull
    from autoqec.views.sharing import print_sync

    print_sync(pull(open_history(), remote, run, artifacts), as_json=as_json)
    return 0
