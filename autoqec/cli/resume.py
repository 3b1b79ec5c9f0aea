"""`autoqec resume`: finish rounds that were interrupted."""

from __future__ import annotations

from typing import Any

import click

from autoqec.cli import options
from autoqec.cli.lab import open_lab, run_session


@click.command()
@click.argument("run", required=False)
@options.work_options
def command(run: str | None, as_json: bool, quiet: bool, **flags: Any) -> int:
    """Finish rounds that were interrupted, each from its first step whose result is not in git.

    RUN limits this to one run.
    """
    from autoqec.history import load_run, require_writable
    from autoqec.loop.rounds import interrupted_rounds, resume_round
    from autoqec.plugins import load_plugins
    from autoqec.views.console import say
    from autoqec.views.rounds import round_printer

    ledger, settings = open_lab(flags)
    require_writable(ledger)
    claims = interrupted_rounds(ledger, load_run(ledger, run).name if run else None)
    if not claims:
        say("nothing to resume: no round was interrupted")
        return 0
    registry = load_plugins()
    show = round_printer(as_json)
    for claim in claims:
        with run_session(ledger, registry, settings, load_run(ledger, claim.run), quiet=quiet) as session:
            show(resume_round(session, claim))
    return 0
