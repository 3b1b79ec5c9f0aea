"""`autoqec publish`: pages of the record on a branch, for hosts to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab

if TYPE_CHECKING:
    from autoqec.history import Ledger
    from autoqec.hosting.host_contract import Host
    from autoqec.hosting.host_places import Place
    from autoqec.plugins import Registry


@click.command()
@click.argument("remote", required=False)
@click.option(
    "--notes", is_flag=True, help="Also write a line about each round into git's own notes, refs/notes/commits."
)
@click.option(
    "--statuses", is_flag=True, help="Also set the commit status autoqec/verdict of each round on REMOTE's host."
)
@options.host_options
@options.json_option
def command(
    remote: str | None, notes: bool, statuses: bool, host: str | None, api_url: str | None, as_json: bool
) -> int:
    """Write pages of the lab's record to the branch autoqec-log, and push it to REMOTE if one is given.

    The branch has README.md (front and rounds), a page for each round, and index.html, the report. It is rebuilt from git each
    time, with one commit if something changed. Neither the working tree nor any other branch changes. --notes replaces lines of
    its own only. --statuses needs a token: AUTOQEC_HOST_TOKEN, or the host's own variable.
    """
    from autoqec.errors import UsageError
    from autoqec.history import PAGES_BRANCH, publish_pages, write_commit_words
    from autoqec.hosting.published_pages import pages_of
    from autoqec.hosting.sent_statuses import send_statuses
    from autoqec.hosting.verdict_words import verdict_line
    from autoqec.plugins import load_plugins
    from autoqec.reporting.lab_diagnoses import read_diagnoses
    from autoqec.reporting.recorded_lab import read_lab
    from autoqec.views.console import print_json, say
    from autoqec.views.sync_text import print_published

    if statuses and remote is None:
        raise UsageError(
            "--statuses needs a remote: statuses are set on its host", hint="autoqec publish origin --statuses"
        )
    ledger, settings = open_lab()
    registry = load_plugins()
    to = _host(ledger, registry, str(remote), host, api_url) if statuses else None
    lab = read_lab(ledger)
    files = pages_of(lab, read_diagnoses(lab, registry, settings))
    found = publish_pages(ledger, files, remote)
    told: dict[str, Any] = {"schema": "autoqec.published/1", "branch": PAGES_BRANCH, "commit": found.commit}
    told |= {"rounds": len(lab.rounds), "new": found.new, "remote": remote, "sent": found.sent, "notes": None}
    if notes:
        words = {
            str(each.row.commit): line for each in lab.rounds if each.row.commit and (line := verdict_line(each.row))
        }
        told["notes"] = write_commit_words(ledger, words)
    sent = None if to is None else send_statuses(ledger, *to, lab.rounds, lambda name: say(f"status of {name}"))
    told["statuses"] = None if sent is None else {"new": sent.new, "known": sent.known, "left": sent.left}
    print_json([told]) if as_json else print_published(told)
    if sent is not None and sent.error is not None:
        raise sent.error
    return 0


def _host(ledger: Ledger, registry: Registry, remote: str, host: str | None, api_url: str | None) -> tuple[Host, Place]:
    """The host of a remote, with its token, and the repository there."""
    import os

    from autoqec.history import remote_address
    from autoqec.hosting.host_places import find_host, place_of

    place = place_of(remote_address(ledger, remote))
    return find_host(registry, place, os.environ, name=host, api_url=api_url), place
