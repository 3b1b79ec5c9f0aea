"""`autoqec pareto`: show the Pareto front over (gain, FLOPs, parameters), computed from git."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history


@click.command()
@click.option("--env", default=None, help="Only rounds on this environment.")
@click.option("--run", "run_name", default=None, help="Only rounds of this run.")
@click.option("--top", default=None, type=click.IntRange(1), help="Only the first this many rounds.")
@options.json_option
def command(env: str | None, run_name: str | None, top: int | None, as_json: bool) -> int:
    """Show the Pareto front: VERIFIED rounds that no other one significantly dominates in gain, FLOPs and parameters.

    FLOPs leave out the decoder's own work: `autoqec show` and `autoqec review` say the microseconds per shot.
    """
    from autoqec.history import missing_from_chain
    from autoqec.views.climb_rows import read_climbs
    from autoqec.views.console import print_json, say
    from autoqec.views.front_json import empty_front, front_rows, left_out
    from autoqec.views.log_lines import read_lines, require_environment

    ledger = open_history()
    runs = read_lines(ledger, run_name)
    require_environment(ledger, runs, env)
    climbs = read_climbs(ledger, runs if run_name is None else read_lines(ledger))
    rows = [climbs.of(row) for row in front_rows(ledger, runs, env)[:top]]
    for sentence in left_out(runs, env):
        say(sentence)
    for sentence in filter(None, (missing_from_chain(ledger, found.run) for found in runs)):
        say(f"{sentence}; see autoqec fsck")
    if as_json:
        print_json(row.to_json() for row in rows)
    else:
        from autoqec.views.tables import print_front

        print_front(rows, climbs.ends(rows), none=empty_front(runs, run_name, env))
    return 0
