"""`autoqec diagnose`: why rounds failed or stalled, and what to do about it, from git alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab

if TYPE_CHECKING:
    from autoqec.config import Settings
    from autoqec.history import Ledger


@click.command()
@click.argument("name", metavar="[RUN|ROUND]", required=False)
@options.json_option
def command(name: str | None, as_json: bool) -> int:
    """Why rounds failed or stalled, and what to do about it: the latest run, one RUN, or one ROUND (exp/<run>/<N> or <run>/<N>).

    Each cause comes with its evidence from the record, a next step, and a patch of the candidate where a field solves it, which
    is shown and never applied. Nothing is trained or decoded. Exit code 0, whatever was found.
    """
    from autoqec.history import find_record, load_run, parse_round_name
    from autoqec.loop.diagnosis_input import latest_run
    from autoqec.views.console import print_json
    from autoqec.views.diagnosis_text import print_diagnosis

    ledger, settings = open_lab()
    if name is None:
        run, number = latest_run(ledger), None
    elif "/" in name:
        run, number = parse_round_name(name)
        find_record(ledger, run, number)  # raises, and says what there is
    else:
        run, number = load_run(ledger, name).name, None
    items = diagnosis_objects(ledger, settings, run, number)
    if as_json:
        print_json(items)
    else:
        print_diagnosis(name or run, items)
    return 0


def diagnosis_objects(ledger: Ledger, settings: Settings, run: str, number: int | None = None) -> list[dict[str, Any]]:
    """The findings about a run, or one of its rounds, as JSON objects."""
    from autoqec.history import CANDIDATE_DIR
    from autoqec.loop.diagnosis_input import diagnose, patched
    from autoqec.plugins import load_plugins
    from autoqec.views.diagnosis_text import DIAGNOSIS_SCHEMA
    from autoqec.views.diff_text import candidate_diff
    from autoqec.views.round_json import whole_notes

    registry = load_plugins()
    items = []
    for finding, files in diagnose(ledger, registry, settings, run, number, lambda record: whole_notes(record)[1]):
        both = patched(registry, finding, files)
        placed = [{f"{CANDIDATE_DIR}/{path}": data for path, data in side.items()} for side in both or ()]
        items.append(
            {
                "schema": DIAGNOSIS_SCHEMA,
                "run": finding.run,
                "round": finding.round,
                "cause": finding.cause,
                "severity": finding.severity,
                "evidence": list(finding.evidence),
                "says": finding.says,
                "next_step": finding.next_step,
                "patch": candidate_diff(*placed) if placed else None,
            }
        )
    return items
