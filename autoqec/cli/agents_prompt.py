"""`autoqec agents prompt`: print the prompt of the role that a round waits for."""

from __future__ import annotations

from typing import Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab, run_session


@click.command()
@click.argument("role", required=False, type=click.Choice(["ideator", "coder", "analyst"]))
@options.waiting_option
@options.json_option
def command(role: Any, where: str | None, as_json: bool) -> int:
    """Print the prompt of the role that a round waits for. The first part ends with the schema of the reply.

    With ROLE, it is an error if the round waits for another role. Exit code 3 if no round waits. It writes nothing.
    """
    from autoqec.history import load_run
    from autoqec.loop.manual_answers import awaited, find_waiting
    from autoqec.plugins import load_plugins
    from autoqec.views.console import print_data_lines, print_json

    ledger, settings = open_lab()
    claim = find_waiting(ledger, role, where)
    with run_session(ledger, load_plugins(), settings, load_run(ledger, claim.run), quiet=True) as session:
        asked = awaited(session, claim)
    prompt = asked.prompt
    if as_json:
        names = {"run": claim.run, "round": claim.number, "role": asked.question.role}
        texts = {"system": prompt.system, "stable": prompt.stable, "volatile": prompt.volatile}
        print_json([{"schema": "autoqec.prompt/1", **names, **texts, "reply_schema": prompt.schema}])
    else:
        print_data_lines([prompt.text.rstrip("\n")])
    return 0
