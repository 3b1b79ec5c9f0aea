"""`autoqec ci judge`: audit and replay the verdict of a pull request's round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab, run_session

if TYPE_CHECKING:
    from autoqec.config import Settings
    from autoqec.history import Ledger
    from autoqec.hosting.judged_rounds import JudgedRound
    from autoqec.hosting.pull_events import PullRequest


@click.command()
@options.event_option
@click.option("--no-replay", is_flag=True, help="Audit the verdict only; draw no shots again.")
@click.option(
    "--summary",
    default=None,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also append what was found to this file, in Markdown.",
)
@options.jobs_option
def command(event: Path | None, no_replay: bool, summary: Path | None, jobs: int | None) -> int:
    """Audit the verdict of a pull request's round, draw its shots again, and print what was found as one line of JSON.

    It spends no error budget and writes no record. It refuses to run where a token of a host is among the environment variables,
    because a candidate may bring code of its own. Exit code 0 if there is a result, whatever it is; 3 if the pull request is not
    from a branch of a round.
    """
    import os

    from autoqec.hosting.pull_events import event_file, read_event
    from autoqec.hosting.pull_judging import require_no_token
    from autoqec.plugins import load_plugins
    from autoqec.views.console import print_json

    require_no_token(load_plugins(), os.environ)
    found = read_event(event or event_file(os.environ))
    ledger, settings = open_lab({"jobs": jobs})
    result = _judged(ledger, settings, found, replay=not no_replay)
    if summary is not None:
        from autoqec.hosting.pull_comment import append_summary

        append_summary(summary, result, ledger)
    print_json([result.to_json()])
    return 0


def _judged(ledger: Ledger, settings: Settings, found: PullRequest, *, replay: bool) -> JudgedRound:
    """The result; an error that judging ends with is one too."""
    from functools import partial

    from autoqec.errors import AutoQECError
    from autoqec.history import load_run
    from autoqec.hosting.judged_rounds import could_not_judge
    from autoqec.hosting.pull_judging import judge_pull
    from autoqec.loop.round_state import read_state
    from autoqec.plugins import load_plugins

    try:
        run, state = load_run(ledger, found.run), read_state(ledger, found.run, found.round)
        opened = partial(run_session, ledger, load_plugins(), settings, run, quiet=True)
        return judge_pull(state, found, opened, replay=replay)
    except AutoQECError as error:
        return could_not_judge(found.name, found.commit, error.problem)
