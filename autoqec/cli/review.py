"""`autoqec review`: compare two rounds for a review, from git alone."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history
from autoqec.errors import UsageError


@click.command()
@click.argument("rounds", metavar="BASE..ROUND")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request or a comment.")
@options.json_option
def command(rounds: str, markdown: bool, as_json: bool) -> int:
    """Compare two rounds for a review: what changed, the figures side by side, and what is better or not decided.

    Both are exp/<run>/<N> or <run>/<N>; after the dots, a number means a round of the same run. A ROUND alone is compared with
    its first parent, or with plain decoding if it has none. No shot is drawn: head-to-heads that are on record count, and else
    the intervals of the two verdicts.
    """
    from autoqec.reporting.compared_rounds import compared_blocks, compared_text, read_review
    from autoqec.views.console import print_json, print_lines

    if markdown and as_json:
        raise UsageError("--markdown and --json are two formats", hint="leave one of them out")
    pair = read_review(open_history(), rounds)
    if as_json:
        print_json([pair.to_json()])
    elif markdown:
        print_lines([compared_text(pair).rstrip("\n")])
    else:
        from autoqec.reporting.terminal_blocks import print_blocks

        print_blocks(compared_blocks(pair))
    return 0
