"""`autoqec log`: rounds and what came of them, from git alone."""

from __future__ import annotations

import click

from autoqec.cli import options
from autoqec.cli.lab import open_history


@click.command()
@click.argument("run", required=False)
@click.option("--env", default=None, help="Only rounds of this environment.")
@options.json_option
def command(run: str | None, env: str | None, as_json: bool) -> int:
    """Rounds and what came of them: all, or those of one RUN."""
    from autoqec.history import read_history, runs_elsewhere
    from autoqec.views.console import print_json, say
    from autoqec.views.records import round_objects
    from autoqec.views.tables import print_log

    ledger = open_history()
    records = read_history(ledger, run)
    items = [item for item in round_objects(records) if env in (None, item["env"])]
    print_json(items) if as_json else print_log(items)
    for remote, runs in runs_elsewhere(ledger).items() if not records else ():
        say(f"{remote} has rounds of {', '.join(runs)}: autoqec pull {remote}")
    return 0
