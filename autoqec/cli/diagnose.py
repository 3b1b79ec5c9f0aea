"""`autoqec diagnose`: explain why rounds failed or stalled, and what to do about it, from git alone."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab


@click.command()
@click.argument("name", metavar="[RUN|ROUND]", required=False)
@options.json_option
def command(name: str | None, as_json: bool) -> int:
    """Why rounds failed or stalled, and what to do about it: the latest run, one RUN, or one ROUND (exp/<run>/<N> or <run>/<N>).

    Each cause comes with its evidence from the record, a next step, and a patch of the candidate where a field solves it, which
    is shown and never applied. Nothing is trained or decoded. Exit code 0, whatever was found.
    """
    from autoqec.history import find_record, load_run, parse_round_name
    from autoqec.loop.diagnosis_input import findings, latest_run
    from autoqec.plugins import load_plugins
    from autoqec.views.console import print_json
    from autoqec.views.diagnosis_text import print_diagnosis

    ledger, settings = open_lab()
    if name is None:
        run, number = latest_run(ledger), None
    elif "/" in name:
        run, number = parse_round_name(name)
        find_record(ledger, run, number)  # raises an error that lists the rounds
    else:
        run, number = load_run(ledger, name).name, None
    found = findings(ledger, load_plugins(), settings, run, number)
    if as_json:
        print_json(each.to_json() for each in found)
    else:
        print_diagnosis(name or run, found)
    return 0
