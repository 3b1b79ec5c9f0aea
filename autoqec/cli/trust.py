"""`autoqec trust`: use what a lab's settings file asks for."""

from __future__ import annotations

import click


@click.command()
@click.option("--yes", is_flag=True, help="Trust the file without a question.")
@click.option("--forget", is_flag=True, help="Take the trust in the file back.")
def command(yes: bool, forget: bool) -> int:
    """Show what the lab's settings file, .autoqec/config.toml, asks for, and use it if you agree.

    A repository's file may choose environment and profile. What sends, signs, trusts, loads or spends something is used only
    after this command. The trust holds for this folder and these contents of the file: after a change, AutoQEC asks again.
    """
    import sys

    from autoqec.cli.lab import open_history
    from autoqec.config import CONFIG_FILE, read_lab_file
    from autoqec.errors import UsageError
    from autoqec.views.console import print_lines, say
    from autoqec.views.wanted_text import wanted_lines
    from autoqec.wanted_settings import forget_file, is_trusted, trust_file

    lab = open_history().workdir
    asked, data = read_lab_file(lab)
    if forget:
        say(f"{CONFIG_FILE} is no longer trusted" if forget_file(lab, data) else f"{CONFIG_FILE} was not trusted")
        return 0
    if not asked:
        say(f"{CONFIG_FILE} asks for nothing that needs your trust")
        return 0
    print_lines(wanted_lines(asked))
    if is_trusted(lab, data):
        say(f"you trust {CONFIG_FILE} as it is")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("this command asks a question, and there is no terminal", hint="autoqec trust --yes")
        if not click.confirm(f"Use these settings of {lab / CONFIG_FILE}?", err=True):
            return 1
    trust_file(lab, data)
    say(f"{CONFIG_FILE} is trusted until it changes")
    return 0
