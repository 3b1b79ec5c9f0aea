"""`autoqec log`: list rounds with their results, from git alone."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history
from autoqec.counted_words import counted


@click.command()
@click.argument("run", required=False)
@click.option("--env", default=None, help="Only rounds on this environment.")
@click.option(
    "--verdict",
    default=None,
    type=click.Choice(["VERIFIED", "SUSPICIOUS", "FAILED", "none"], case_sensitive=False),
    help="Only rounds with this verdict; `none` for rounds without a verdict.",
)
@click.option("--status", default=None, metavar="WORD", help="Only rounds with this status: ok, train_error, open, ...")
@click.option("--text", default=None, help="Only rounds with this text in hypothesis, analysis or reason.")
@click.option("--dropped", is_flag=True, help="List what `autoqec drop` took out of the lists instead.")
@click.option("--graph", is_flag=True, help="Draw the ancestry of rounds.")
@options.json_option
def command(
    run: str | None,
    env: str | None,
    verdict: str | None,
    status: str | None,
    text: str | None,
    dropped: bool,
    graph: bool,
    as_json: bool,
) -> int:
    """List rounds with their results: all rounds, or those of one RUN."""
    from autoqec.history import list_dropped, missing_from_chain, runs_elsewhere
    from autoqec.views.climb_rows import read_climbs
    from autoqec.views.console import print_data_lines, say
    from autoqec.views.log_lines import read_lines, require_environment
    from autoqec.views.sync_text import unpushed_hints
    from autoqec.views.wanted_rounds import Wanted

    wanted = Wanted(env=env, verdict=verdict, status=status, text=text)
    ledger = open_history()
    if dropped:
        from autoqec.errors import UsageError
        from autoqec.views.dropped_text import print_dropped

        if graph or not wanted.everything:
            raise UsageError("--dropped takes no other choice of rounds", hint="autoqec log --dropped [RUN] [--json]")
        print_dropped(ledger, run, as_json=as_json)
        return 0
    runs = read_lines(ledger, run)
    require_environment(ledger, runs, env)
    climbs = read_climbs(ledger, runs if run is None else read_lines(ledger))
    lines = [(found.run, line) for found in runs for line in found.lines]
    for remote, names in runs_elsewhere(ledger).items() if not lines else ():
        say(f"{remote} has rounds of {', '.join(names)}: autoqec pull {remote}")
    for sentence in filter(None, (missing_from_chain(ledger, found.run) for found in runs)):
        say(f"{sentence}; see autoqec fsck")
    if as_json and wanted.everything:
        print_data_lines(climbs.line(name, line) for name, line in lines)  # JSON already: parsing 5,000 takes time
        return 0
    rows = [climbs.of(line.row) for _, line in lines]
    wanted.require_status(rows)
    chosen = [row for row in rows if wanted.fits(row)]
    if as_json:
        both = zip(lines, rows, strict=True)
        print_data_lines(climbs.line(name, line) for (name, line), row in both if wanted.fits(row))
    elif graph:
        from autoqec.views.log_graph import print_graph

        print_graph(chosen, climbs.ends(chosen), none=wanted.nothing_fits(rows, run))
    else:
        from autoqec.views.tables import print_log

        print_log(chosen, climbs.ends(chosen), none=wanted.nothing_fits(rows, run))
    if not as_json:
        for hint in unpushed_hints(ledger):
            say(hint)
        if rounds := sum(len(each.rounds) for each in list_dropped(ledger)):
            say(f"{counted(rounds, 'round')} dropped: autoqec log --dropped")
    return 0
