"""`autoqec worker`: be a worker of an executor elsewhere, over the standard streams; executors start it, people do not."""

from __future__ import annotations

import click

from autoqec.cli.standard_streams import hand_back


@click.command(hidden=True)
def command() -> int:
    """Run tasks for an executor on another machine, over the standard streams.

    The executor `command` starts this at the far end of its prefixes. It ends when its standard input does.
    """
    import sys

    from autoqec.errors import UsageError
    from autoqec.scoring.remote.serve_worker import main

    if sys.stdin.isatty():
        raise UsageError(
            "autoqec worker serves an executor over its standard streams, and here is a terminal",
            hint="an executor starts it: autoqec round --executor command --executor-option prefixes='ssh HOST'",
        )
    hand_back()  # frames are this command's data
    main()
    return 0
