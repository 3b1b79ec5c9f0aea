"""`autoqec show`: show one round, from git alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history
from autoqec.errors import UsageError

if TYPE_CHECKING:
    from autoqec.history import Ledger


@click.command()
@click.argument("round_name", metavar="ROUND")
@click.option("--full", is_flag=True, help="Print all counts of the verdict too, with their formulas.")
@click.option("--trace", is_flag=True, help="Show prompts, replies and usage of the round's agents.")
@click.option(
    "--markdown", is_flag=True, help="Print a review in one page of Markdown, for a pull request or a comment."
)
@options.json_option
def command(round_name: str, full: bool, trace: bool, markdown: bool, as_json: bool) -> int:
    """Show one round: what it tried, what came out, what that is worth; then its figures, and what it changed.

    ROUND is exp/<run>/<N> or <run>/<N>. --full adds the verdict with its formulas, so that you can check it by hand.
    """
    from autoqec.history import candidate_diff, find_record, parse_round_name, read_candidate
    from autoqec.results.round_results import read_results
    from autoqec.views.climb_rows import find_row
    from autoqec.views.console import print_json
    from autoqec.views.round_json import disagreements
    from autoqec.views.show_text import RoundDetails, print_round

    if markdown and (as_json or trace or full):
        raise UsageError("--markdown goes alone", hint="leave out --json, --trace and --full")
    ledger = open_history()
    run, number = parse_round_name(round_name)
    if trace:
        return _trace(ledger, run, number, as_json)
    if markdown:
        return _review(ledger, round_name)
    record = find_record(ledger, run, number)
    row = find_row(ledger, run, number)
    results, conflicts = read_results(record), disagreements(record)
    if as_json:
        notes, lines = results.to_notes(), [each.to_json() | {"id": each.line.id} for each in record.standings]
        told = {"notes": notes, "conflicts": [each.to_json() for each in conflicts], "verdict_lines": lines}
        print_json([row.to_json() | told])
        return 0
    diff = None
    if record.commit:
        before = read_candidate(ledger, record.parents[0]) if record.parents else {}
        diff = candidate_diff(before, read_candidate(ledger, record.commit))
    trust = record.trust.in_words if record.trust else None
    print_round(row, RoundDetails(results, record.body, diff, conflicts, trust), full=full)
    return 0


def _review(ledger: Ledger, round_name: str) -> int:
    from autoqec.reporting.recorded_lab import read_round
    from autoqec.reporting.review_page import review_text
    from autoqec.views.console import print_lines

    print_lines([review_text(read_round(ledger, round_name)).rstrip("\n")])
    return 0


def _trace(ledger: Ledger, run: str, number: int, as_json: bool) -> int:
    from autoqec.history import find_record
    from autoqec.loop.tracing import read_calls
    from autoqec.printed_rows import CallRow
    from autoqec.views.console import print_json
    from autoqec.views.trace_text import print_trace

    find_record(ledger, run, number)  # raises an error that lists the rounds
    calls = [cast(CallRow, call.to_dict() | call.texts()) for call in read_calls(ledger, run, number)]
    if as_json:
        print_json([{"schema": "autoqec.call/1", "run": run, **call} for call in calls])
    else:
        print_trace(calls)
    return 0
