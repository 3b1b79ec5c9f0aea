"""`autoqec status`: what is running, waiting, interrupted or open in this lab."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history

if TYPE_CHECKING:
    from autoqec.history.reading.open_rounds import OpenRounds

#: Seconds between two looks.
_EVERY = 1.0


@click.command()
@click.argument("run", required=False)
@click.option(
    "--watch", is_flag=True, help="Show it again and again until Ctrl-C; off a terminal, a line for each change."
)
@options.json_option
def command(run: str | None, watch: bool, as_json: bool) -> int:
    """Show the open rounds, of all runs or of one RUN: what each does, how long that can still take, and who works on it.

    A round of another machine may be at work or not; nobody can tell from here. What a round does now comes from a file that is
    no record; all else comes from git. Nothing is written.
    """
    from autoqec.history import load_run
    from autoqec.history.reading.open_rounds import OpenRounds
    from autoqec.views.console import print_json
    from autoqec.views.status_text import print_status, status_row

    ledger = open_history()
    rounds = OpenRounds(ledger, load_run(ledger, run).name if run else None)
    if watch:
        watch_rounds(rounds, lambda: time.sleep(_EVERY), as_json=as_json)
    elif as_json:
        print_json(status_row(found, time.time()) for found in rounds.read())
    else:
        print_status(rounds.read())
    return 0


def watch_rounds(rounds: OpenRounds, wait: Callable[[], object], *, as_json: bool) -> None:
    """Show open rounds until interrupted.

    Args:
        rounds: The rounds.
        wait: Called between two looks.
        as_json: Whether to print JSON objects, one for each change.
    """
    from autoqec.views.console import out
    from autoqec.views.phase_display import draws
    from autoqec.views.status_watch import Redrawn, Told

    console = out()
    with Redrawn(console) if draws(console) and not as_json else Told(as_json=as_json) as shown:
        while True:
            shown.show(rounds.read(), rounds)
            wait()
