"""Prints a finished round: a line for people, or its JSON object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autoqec.history import Ledger, RoundRecord
from autoqec.results.reference_ratio import best_reference
from autoqec.results.round_results import read_results
from autoqec.views.climb_rows import find_row
from autoqec.views.console import print_json
from autoqec.views.round_json import round_row
from autoqec.views.tables import print_outcome


def round_printer(ledger: Ledger, as_json: bool) -> Callable[[RoundRecord], None]:
    """A function that prints each round as it ends: its record, its parents by name, and the best round so far."""

    def show(record: RoundRecord) -> None:
        listed = find_row(ledger, record.run, record.number)
        row = replace(round_row(record), fork_from=listed.fork_from, best_so_far=listed.best_so_far)
        print_json([row.to_json()]) if as_json else print_outcome(row, best_reference(read_results(record)))

    return show
