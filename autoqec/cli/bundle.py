"""`autoqec bundle`: write a run as one file, a git bundle."""

from __future__ import annotations

from pathlib import Path

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history


@click.command()
@click.argument("run")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write."
)
@click.option("--all-weights", is_flag=True, help="Include the trained weights of every round, not only of the front.")
@options.json_option
def command(run: str, output: Path, all_weights: bool, as_json: bool) -> int:
    """Write RUN as one file, a git bundle: its rounds, notes, claims, attempts, and the weights of its front.

    `git clone FILE lab` makes a lab from it, in which `autoqec log` and `autoqec verify` work without a network.
    """
    from autoqec.history import has_attachment, read_history, write_bundle
    from autoqec.history.rounds.attachments import WEIGHTS_FILE
    from autoqec.views.front_json import front_rows
    from autoqec.views.log_lines import read_lines
    from autoqec.views.sync_text import print_bundle
    from autoqec.whole_files import require_place

    require_place(output)
    ledger = open_history()
    records = read_history(ledger, run)
    front = {row.round for row in front_rows(ledger, read_lines(ledger, run))}
    wanted = (record.number for record in records if all_weights or record.number in front)
    weights = [number for number in wanted if has_attachment(ledger, "artifacts", run, number, WEIGHTS_FILE)]
    refs = write_bundle(ledger, run, output, weights)
    print_bundle(run, output, refs, weights, rounds=len(records), as_json=as_json)
    return 0
