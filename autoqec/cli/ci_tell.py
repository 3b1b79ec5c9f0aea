"""`autoqec ci tell`: set the status of a pull request's commit, and write the comment."""

from __future__ import annotations

from pathlib import Path

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history


@click.command()
@options.event_option
@options.host_options
@click.option("--url", default=None, help="The page that the status links to, such as that of the job.")
@click.option("--no-comment", is_flag=True, help="Set the status only.")
def command(event: Path | None, host: str | None, api_url: str | None, url: str | None, no_comment: bool) -> int:
    """Read from standard input what `autoqec ci judge` printed; set the commit's status `autoqec/verdict`, and write one comment.

    The comment is changed when the same pull request is judged again. The token is read from AUTOQEC_HOST_TOKEN or the host's own
    variable, and runs of code of the pull request never have it. If nothing was printed, the status says so.
    """
    import os
    import sys

    from autoqec.errors import UsageError
    from autoqec.hosting.host_places import find_host, place_in_job
    from autoqec.hosting.judged_rounds import JUDGED_BYTES, could_not_judge, read_judged
    from autoqec.hosting.pull_comment import MARKER, comment_text
    from autoqec.hosting.pull_events import event_file, read_event
    from autoqec.plugins import load_plugins
    from autoqec.views.console import say

    found, registry = read_event(event or event_file(os.environ)), load_plugins()
    text = sys.stdin.read(JUDGED_BYTES + 1)
    result = (
        read_judged(text)
        if text.strip()
        else could_not_judge(found.name, found.commit, "the job did not end; see its log")
    )
    if (result.round, result.commit) != (found.name, found.commit):
        raise UsageError(
            f"the result is about {result.round} at {result.commit[:10]}, and the pull request about {found.name}",
            hint="judge this pull request: autoqec ci judge",
        )
    if host is None:
        raise UsageError(
            "which kind of host this is must be said", hint=f"--host {', --host '.join(registry.names('host'))}"
        )
    to = find_host(registry, place_in_job(registry, host, os.environ), os.environ, name=host, api_url=api_url)
    to.set_status(found.commit, result.status(url))
    if not no_comment:
        to.put_comment(found.number, MARKER, comment_text(result, open_history()))
    say(f"{result.status().description} ({found.commit[:10]})")
    return 0
