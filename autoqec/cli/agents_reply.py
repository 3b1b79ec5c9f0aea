"""`autoqec agents reply`: reply as the role that a round waits for, and continue the round."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab, run_session, say_loading, share_results, waits

_ROLES = ("ideator", "coder", "analyst")

#: Maximum size of a reply; a candidate's files are far smaller.
_MOST_BYTES = 1_000_000


@click.command()
@click.argument("role", required=False)
@click.argument("file", required=False)
@options.waiting_option
@options.budget_options
@options.train_on_option
@options.device_option
@options.work_options
def command(role: Any, file: str | None, where: str | None, as_json: bool, quiet: bool, **flags: Any) -> int:
    """Reply as the role that a round waits for, with one JSON object from FILE or standard input (`-`, the default).

    The round then continues until it waits for the next reply or ends; at its end it is printed as by `autoqec round`. Exit
    code 2 if the reply is invalid: nothing is recorded, and the round keeps waiting. Exit code 3 if no round waits.
    """
    from autoqec.errors import UsageError
    from autoqec.history import load_run, require_writable

    if role is not None and role not in _ROLES:
        if file is not None:
            raise UsageError(f"{role!r} is not a role; the roles are {', '.join(_ROLES)}")
        role, file = None, role
    ledger, settings = open_lab(flags)
    require_writable(ledger)
    say_loading(quiet=quiet)
    from autoqec.agents.agent_contract import ReplyAwaited
    from autoqec.loop.manual_answers import find_waiting, parse_reply, take_reply
    from autoqec.plugins import load_plugins
    from autoqec.results.rungs import COMPLETE
    from autoqec.views.round_text import round_printer

    claim = find_waiting(ledger, role, where)
    data = _read(file or "-")
    message = parse_reply(data)
    show = round_printer(ledger, as_json)
    with run_session(ledger, load_plugins(), settings, load_run(ledger, claim.run), quiet=quiet) as session:
        try:
            record = take_reply(session, claim, message, data.decode("utf-8"))
        except ReplyAwaited as error:
            return waits(error)
        show(record)
        share_results(session)
    return 0 if record.status in COMPLETE else 1


def _read(file: str) -> bytes:
    from autoqec.errors import NotFoundError, UsageError

    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {file}") from error
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"the reply is longer than {_MOST_BYTES:,} bytes")
    return data
