"""`autoqec init`: make a lab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from autoqec.history import Ledger


@click.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--skills", is_flag=True, help="Also write a skill for coding agents, to .claude/skills and .agents/skills."
)
@click.option(
    "--ci",
    default=None,
    type=click.Choice(["github", "gitlab", "gitea"]),
    help="Also write the workflow with which this host's CI judges the rounds of pull requests.",
)
@click.option(
    "--cluster",
    default=None,
    type=click.Choice(["slurm"]),
    help="Also write the job with which the nodes of a cluster run rounds of one run.",
)
def command(directory: Path, skills: bool, ci: str | None, cluster: str | None) -> int:
    """Turn the git repository at DIRECTORY into a lab, or make a new one. Running it again changes nothing.

    It asks nothing, and says what comes next. It writes .autoqec/config.toml if absent, and configures git to show AutoQEC's
    notes in `git log`. --skills and --ci write two more files each, and --cluster writes one. These are not committed, and files
    with other contents are not overwritten.
    """
    from autoqec.agents.skill import write_skill
    from autoqec.cli.lab_seen import lab_seen
    from autoqec.config import CONFIG_FILE, config_template
    from autoqec.history import initialise
    from autoqec.views.console import say
    from autoqec.views.guide_text import print_guide
    from autoqec.wanted_settings import trust_file

    template = config_template().encode()
    ledger = initialise(directory, {CONFIG_FILE: template})
    file = ledger.workdir / CONFIG_FILE
    if file.is_file() and file.read_bytes() == template:  # who wrote it is not asked about it
        trust_file(ledger.workdir, template)
    for name in write_skill(ledger.workdir) if skills else ():
        say(f"wrote {name}")
    if ci is not None:
        from autoqec.hosting.ci_files import next_steps, write_ci

        written = write_ci(ledger.workdir, ci)
        for name in written:
            say(f"wrote {name}")
        if not written:
            say(f"the files for {ci} are there already")
        for step in next_steps(ledger.workdir, ci)[0 if written else 1 :]:  # the first one commits what was written
            say(f"then {step}")
    if cluster is not None:
        _write_job(ledger, cluster)
    print_guide(lab_seen(ledger))
    return 0


def _write_job(ledger: Ledger, cluster: str) -> None:
    from contextlib import suppress

    from autoqec.clusters.cluster_files import next_steps, write_cluster_file
    from autoqec.config import load_settings
    from autoqec.errors import NotFoundError
    from autoqec.history import checked_out_branch, remote_address
    from autoqec.views.console import say

    remote = ""
    with suppress(NotFoundError):  # a lab need not have one yet
        remote = remote_address(ledger, "origin")
    env = load_settings(ledger.workdir)["default_env"]
    branch = checked_out_branch(ledger)
    written = write_cluster_file(ledger.workdir, cluster, remote=remote, env=env, branch=branch)
    for name in written:
        say(f"wrote {name}")
    if not written:
        say(f"the job for {cluster} is there already")
    for step in next_steps(cluster, remote=remote):
        say(f"then {step}")
