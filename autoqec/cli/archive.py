"""`autoqec archive`: archive a finished run, and prune weights."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options
from autoqec.counted_words import counted


@click.command()
@click.argument("run")
@click.option("--prune-weights", is_flag=True, help="Keep only the weights of rounds on the run's front.")
@options.json_option
def command(run: str, prune_weights: bool, as_json: bool) -> int:
    """Archive a finished RUN: move its rounds from branches to refs/autoqec/rounds. log, show and pareto still show them.

    A branch stays if it is checked out or has further commits. A round with pruned weights stays in the history, with their
    hash in its metrics, but you can no longer verify it.
    """
    from autoqec import history
    from autoqec.views.console import out, plain, print_json, say
    from autoqec.views.front_json import front_rows
    from autoqec.views.log_lines import read_lines

    ledger = history.open_ledger(".")
    archived = history.archive_run(ledger, run)
    pruned: list[int] = []
    if prune_weights:
        front = front_rows(ledger, read_lines(ledger, run))
        pruned = history.prune_weights(ledger, run, {row.round for row in front})
    for branch, why in archived.left.items():
        say(f"{branch} stays: {why}")
    if as_json:
        fields = {"run": run, "archived": list(archived.rounds), "left": archived.left, "pruned": pruned}
        print_json([{"schema": "autoqec.archive/1", **fields}])
        return 0
    words = f"{counted(len(archived.rounds), 'round')} of {run} archived"
    out().print(plain(f"{words}; weights of {len(pruned)} pruned" if prune_weights else words))
    return 0
