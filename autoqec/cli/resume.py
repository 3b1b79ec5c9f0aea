"""`autoqec resume`: finish interrupted rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab, run_session, say_loading, share_results, waits
from autoqec.cli.parallel import MOST_AT_ONCE, resumed_at_once
from autoqec.counted_words import counted
from autoqec.errors import AutoQECError
from autoqec.plugin_errors import one_line

if TYPE_CHECKING:
    from autoqec.config import Settings
    from autoqec.history import Claim, Ledger
    from autoqec.plugins import Registry


@click.command()
@click.argument("run", required=False)
@click.option("--abandon", default=None, metavar="ROUND", help="Close one interrupted or waiting round as abandoned.")
@click.option(
    "--parallel",
    default=1,
    show_default=True,
    type=click.IntRange(1, MOST_AT_ONCE),
    help="How many rounds of a run to finish at once, each in a process of its own.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Also resume, or abandon, rounds of other hosts and clones, even if they may be at work there.",
)
@options.budget_options
@options.train_on_option
@options.device_option
@options.work_options
def command(
    run: str | None, abandon: str | None, parallel: int, force: bool, as_json: bool, quiet: bool, **flags: Any
) -> int:
    """Finish interrupted rounds, each from the first step whose result is not in git.

    RUN limits this to one run. If a round cannot continue, the command reports it, finishes the others, and exits with
    code 1, or 4 if a budget is spent. As for `autoqec round`, the exit code is also 1 if rounds ended and none completed.

    A round is resumed in the clone that began it. If it was part of a batch job on another host, the batch system must say that
    the job is over.
    """
    from autoqec.history import load_run, parse_round_name, require_writable

    ledger, settings = open_lab(flags)
    require_writable(ledger)
    say_loading(quiet=quiet)
    from autoqec.agents.agent_contract import ReplyAwaited
    from autoqec.errors import BudgetSpentError
    from autoqec.loop.machine_share import memory_share
    from autoqec.loop.one_round import abandon_round, interrupted_rounds, is_elsewhere, open_rounds, resume_round
    from autoqec.plugins import load_plugins
    from autoqec.results.rungs import COMPLETE
    from autoqec.views.console import print_error, say
    from autoqec.views.round_text import round_printer

    show = round_printer(ledger, as_json)
    if abandon is not None:
        show(abandon_round(ledger, *parse_round_name(abandon), force=force))
        return 0
    only = load_run(ledger, run).name if run else None
    claims = interrupted_rounds(ledger, only)
    elsewhere = [claim for claim in open_rounds(ledger, only) if claim not in claims and is_elsewhere(ledger, claim)]
    claims += elsewhere if force else []
    if elsewhere and not force:
        names = ", ".join(f"{claim.run}/{claim.number} on {claim.host}" for claim in elsewhere)
        say(f"skipped, because they may be at work: {names}. If they are not: autoqec resume --force")
    if not claims:
        others = len(interrupted_rounds(ledger)) if only else 0
        where = f"of {only} " if only else ""
        beside = (
            f"; {counted(others, 'round')} of other runs {'was' if others == 1 else 'were'}: autoqec resume"
            if others
            else ""
        )
        say(f"nothing to resume: no round {where}was interrupted{beside}")
        return 0
    registry = load_plugins()
    if parallel > 1:
        memory_share(settings, parallel)  # refuses, before anything is written, more rounds than there is memory for
        return _at_once(ledger, registry, settings, claims, parallel, force=force, quiet=quiet, as_json=as_json)
    worst, ended = 0, []
    for claim in claims:
        name = f"{claim.run}/{claim.number}"
        try:
            with run_session(ledger, registry, settings, load_run(ledger, claim.run), quiet=quiet) as session:
                record = resume_round(session, claim, force=force)
        except ReplyAwaited as error:
            waits(error)
            continue
        except Exception as error:  # whatever it is, the other rounds go on
            if click.get_current_context().find_root().params["traceback"]:
                raise
            told = _told(error, name)
            worst = max(worst, told.exit_code if isinstance(error, BudgetSpentError) else 1)
            print_error(told)
            continue
        show(record)
        ended.append(record.status)
        share_results(session)
    return worst or int(bool(ended) and not set(COMPLETE) & set(ended))


def _at_once(
    ledger: Ledger,
    registry: Registry,
    settings: Settings,
    claims: Sequence[Claim],
    parallel: int,
    *,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Finish the rounds of one run after the other, several at once, and return the exit code."""
    from autoqec.errors import BudgetSpentError
    from autoqec.history import load_run
    from autoqec.results.rungs import COMPLETE

    worst, ended = 0, []
    for run in dict.fromkeys(claim.run for claim in claims):
        numbers = [claim.number for claim in claims if claim.run == run]
        with run_session(ledger, registry, settings, load_run(ledger, run), quiet=quiet) as session:
            rounds = resumed_at_once(session, numbers, parallel, _told, force=force, quiet=quiet, as_json=as_json)
        ended += [record.status for record in rounds.records]
        codes = [each.error.exit_code for each in rounds.failures if not each.waits]
        worst = max([worst, *(code if code == BudgetSpentError.exit_code else 1 for code in codes)])
    return worst or int(bool(ended) and not set(COMPLETE) & set(ended))


def _told(error: Exception, name: str) -> AutoQECError:
    """Say which round cannot continue, why, and how to go on or end it."""
    if not isinstance(error, AutoQECError):
        error = AutoQECError(f"internal error: {one_line(error)}", hint="autoqec --traceback resume shows where")
    end = f"autoqec resume --abandon {name}"
    hint = error.hint or end
    if end not in hint:
        hint += f"; or end the round: {end}"
    told = AutoQECError(f"round {name} cannot continue: {error.problem}", hint=hint)
    told.exit_code = error.exit_code
    return told
