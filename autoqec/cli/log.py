"""`autoqec log`: rounds and what came of them, from git alone."""

from __future__ import annotations

import click

from autoqec.cli import options


@click.command()
@click.argument("run", required=False)
@click.option("--env", default=None, help="Only rounds of this environment.")
@options.json_option
def command(run: str | None, env: str | None, as_json: bool) -> int:
    """Rounds and what came of them: all, or those of one RUN."""
    from autoqec.history import open_ledger, read_history
    from autoqec.views.console import print_json
    from autoqec.views.records import round_objects
    from autoqec.views.tables import print_log

    items = [item for item in round_objects(read_history(open_ledger("."), run)) if env in (None, item["env"])]
    print_json(items) if as_json else print_log(items)
    return 0
