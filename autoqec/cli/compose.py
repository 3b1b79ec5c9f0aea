"""`autoqec compose`: merge rounds into a new round."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab, run_session, say_loading, share_results


@click.command()
@click.argument("rounds", metavar="ROUND ROUND...", nargs=-1, required=True)
@click.option("--edit", is_flag=True, help="Let the Coder edit the merge; by default it stays as it is.")
@click.option("--text", default=None, help="The hypothesis, in one sentence.")
@options.budget_options
@options.profile_option
@options.agent_options
@options.train_on_option
@options.device_option
@options.work_options
def command(rounds: tuple[str, ...], edit: bool, text: str | None, as_json: bool, quiet: bool, **flags: Any) -> int:
    """Merge two or more rounds into a new one, train it from its parents' weights, and score it beside them.

    The merge is a commit with all of them as parents. If they conflict, the round ends as compose_conflict, with the values
    of each.
    """
    from autoqec.errors import UsageError
    from autoqec.history import load_run, parse_round_name, require_writable

    ledger, settings = open_lab(flags)
    require_writable(ledger)
    say_loading(quiet=quiet)
    from autoqec.agents.role_messages import MAX_PARENTS, Hypothesis
    from autoqec.loop.one_round import run_round
    from autoqec.loop.parents import check_parents
    from autoqec.plugins import load_plugins
    from autoqec.results.rungs import COMPLETE
    from autoqec.views.round_text import round_printer

    names = [parse_round_name(name) for name in rounds]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(
            f"{twice[0][0]}/{twice[0][1]} is named twice: compose takes different rounds", hint="autoqec log"
        )
    if not 2 <= len(names) <= MAX_PARENTS:
        raise UsageError(f"compose takes two to {MAX_PARENTS} rounds, not {len(names)}", hint="autoqec log")
    runs = [load_run(ledger, run) for run, _ in names]
    if len({run.env_id for run in runs}) > 1:
        raise UsageError("the rounds belong to different environments", hint="compose rounds of one environment")
    hypothesis = Hypothesis(
        text=text or f"The changes of {' and '.join(f'{run}/{number}' for run, number in names)} add up",
        fork_from=tuple(f"{run}/{number}" for run, number in names),
        compose="with_edit" if edit else "pure",
    )
    check_parents(ledger, runs[0], hypothesis)
    show = round_printer(ledger, as_json)
    with run_session(ledger, load_plugins(), settings, runs[0], quiet=quiet) as session:
        record = run_round(session, hypothesis)
        show(record)
        share_results(session)
    return 0 if record.status in COMPLETE else 1
