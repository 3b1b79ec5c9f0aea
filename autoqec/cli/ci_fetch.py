"""`autoqec ci fetch`: fetch the records of a pull request's round."""

from __future__ import annotations

from pathlib import Path

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab


@click.command()
@options.event_option
@options.json_option
def command(event: Path | None, as_json: bool) -> int:
    """Fetch the run of a pull request's round, with weights: from the repository it is for, then from the one it comes from.

    The records are data; nothing of them is checked out. Exit code 3 if the pull request is not from a branch of a round.
    """
    import os
    from contextlib import suppress

    from autoqec.errors import NotFoundError
    from autoqec.history import pull
    from autoqec.hosting.pull_events import event_file, read_event
    from autoqec.views.sync_text import print_sync

    found = read_event(event or event_file(os.environ))
    ledger = open_lab()[0]
    if found.base_url != found.head_url:
        with suppress(NotFoundError):  # a new run is not there yet
            # First, so that a run that is there cannot come back with records missing.
            pull(ledger, found.base_url, found.run, artifacts=True)
    print_sync(pull(ledger, found.head_url, found.run, artifacts=True), as_json=as_json)
    return 0
