"""`autoqec drop`: take a run or a round out of the lists, or bring it back."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options


@click.command()
@click.argument("name", metavar="RUN|ROUND")
@click.option("-m", "--message", default="", help="Why, in a few words; log --dropped shows it.")
@click.option("--restore", "back", is_flag=True, help="Bring it back into the lists.")
@options.json_option
def command(name: str, message: str, back: bool, as_json: bool) -> int:
    """Drop a run or a round that was a mistake: it leaves log, pareto and all other lists. Nothing is deleted.

    Its refs move to refs/autoqec/dropped, in this lab only: no push sends them, and a pull does not bring it back. What it spent
    stays spent: error budget, looks at recorded shots, tokens, and its number. `autoqec drop --restore` brings it back.
    """
    from autoqec import history
    from autoqec.errors import UsageError
    from autoqec.views.dropped_text import print_drop

    if back and message:
        raise UsageError("--message says why something is dropped; --restore drops nothing", hint="leave one out")
    ledger = history.open_ledger(".")
    if "/" in name:
        run, number = history.parse_round_name(name)
        place: tuple[str, int | None] = (run, number)
    else:
        place = (history.check_run_name(name), None)
    if back:
        print_drop(history.restore(ledger, *place), {}, back=True, as_json=as_json)
        return 0
    dropped = history.drop(ledger, *place, message=message)
    print_drop(dropped, history.children_of(ledger, dropped), back=False, as_json=as_json)
    return 0
