"""`autoqec push`: send rounds and notes to a remote."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab


@click.command()
@options.sync_options
def command(remote: str, run: str | None, artifacts: bool, as_json: bool) -> int:
    """Send rounds, notes, claims, attempts and runs to REMOTE (origin), and fetch those that it has.

    REMOTE is a git remote's name, a URL or a path. The push is atomic and overwrites nothing. If a round is archived, its
    branch on the remote is deleted after the archive has arrived.
    """
    from autoqec.history import push
    from autoqec.views.sync_text import print_sync

    print_sync(push(open_lab()[0], remote, run, artifacts), as_json=as_json)
    return 0
